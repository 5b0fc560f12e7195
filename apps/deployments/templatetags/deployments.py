"""What templates ask of a deployment."""

from django import template

from apps.deployments.selectors import takes_a_form

register = template.Library()
register.filter("takes_a_form", takes_a_form)
