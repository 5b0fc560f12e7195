"""Page addresses of review."""

from django.urls import path

from apps.feedback.review import views

app_name = "review"
_W = "w/<slug:workspace_slug>/review/"
_Q = f"{_W}<uuid:queue_id>/"
_C = f"{_Q}cases/<uuid:claim_id>/"
_P = "w/<slug:workspace_slug>/predictions/<uuid:identifier>/review/"

urlpatterns = [
    path(_W, views.queue_list, name="list"),
    path(f"{_W}new/", views.choose, name="choose"),
    path(f"{_W}new/<slug:slug>/", views.new, name="new"),
    path(_Q, views.queue, name="queue"),
    path(f"{_Q}change/", views.change, name="change"),
    path(f"{_Q}open/", views.reopen, name="open"),
    path(f"{_Q}close/", views.close, name="close"),
    path(f"{_Q}next/", views.next_case, name="next"),
    path(f"{_Q}leave/", views.leave, name="leave"),
    path(f"{_Q}undo/", views.undo, name="undo"),
    path(_C, views.case, name="case"),
    path(f"{_C}first/", views.first, name="first"),
    path(f"{_C}answer/", views.answer, name="answer"),
    path(f"{_C}look/", views.look, name="look"),
    path(f"{_C}skip/", views.skip, name="skip"),
    path(f"{_C}draft/", views.draft, name="draft"),
    path(f"{_C}ahead/", views.ahead, name="ahead"),
    path(_P, views.request, name="prediction"),
]
