"""Brings what runs in line with what is wanted, one deployment at a time.

A new revision is started beside the active one, checked, and only then given the traffic; the
old one drains and stops. A revision that fails never gets traffic. Nothing here holds a
transaction while it talks to a model server.
"""

from apps.deployments.reconcile.loop import Reconciler

__all__ = ["Reconciler"]
