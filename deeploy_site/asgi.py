"""The ASGI application: the data plane first, Django for the rest."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")

from django.core.asgi import get_asgi_application

pages = get_asgi_application()

from apps.predictions.gateway.server import DataPlane
from deeploy_site.body_limit import BodyLimit

application = DataPlane(BodyLimit(pages))
