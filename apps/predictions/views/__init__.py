"""Pages of the log: the list, one prediction or request, erasure, and trying a deployment."""

from apps.predictions.views.erasure import erase, erase_case
from apps.predictions.views.log import export, prediction_list
from apps.predictions.views.record import prediction, refused_request, verify
from apps.predictions.views.trying import try_it

__all__ = [
    "erase",
    "erase_case",
    "export",
    "prediction",
    "prediction_list",
    "refused_request",
    "try_it",
    "verify",
]
