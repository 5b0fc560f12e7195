"""API addresses of feedback."""

from django.urls import path

from apps.feedback import api
from apps.feedback.review import api as review

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"
_P = f"{_D}/predictionLogs/<uuid:identifier>"
_Q = f"{_D}/reviewQueues/<uuid:queue>"
_C = f"{_Q}/cases/<uuid:claim>"

urlpatterns = [
    path(f"{_P}/evaluatePrediction", api.Evaluate.as_view()),
    path(f"{_P}/evaluation", api.OwnEvaluation.as_view()),
    path(f"{_P}/evaluations", api.Evaluations.as_view()),
    path(f"{_P}/actuals", api.ActualHistory.as_view()),
    path(f"{_D}/actuals", api.Actuals.as_view()),
    path(f"{_D}/reviewRequests", review.Requests.as_view()),
    path(f"{_D}/reviewQueues", review.Queues.as_view()),
    path(f"{_D}/reviewQueues/preview", review.QueuePreview.as_view()),
    path(_Q, review.Queue.as_view()),
    path(f"{_Q}/open", review.OpenQueue.as_view()),
    path(f"{_Q}/close", review.CloseQueue.as_view()),
    path(f"{_Q}/next", review.NextCase.as_view()),
    path(_C, review.Case.as_view()),
    path(f"{_C}/reveal", review.Reveal.as_view()),
    path(f"{_C}/look", review.Look.as_view()),
    path(f"{_C}/answer", review.Answer.as_view()),
    path(f"{_C}/skip", review.Skip.as_view()),
    path(f"{_C}/release", review.Release.as_view()),
    path(f"{_C}/undo", review.Undo.as_view()),
]
