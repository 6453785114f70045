"""Addresses of the rollouts: dashboard, inbox, the page, what of it is polled, and its verbs."""

from django.urls import path

from rollout.views import dashboard, decisions, difference, fragments, glass, proving, rollouts, sign, verbs

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("inbox/", dashboard.inbox, name="inbox"),
    path("rollouts/", rollouts.rollout_list, name="rollout_list"),
    path("rollouts/new/", rollouts.rollout_new, name="rollout_new"),
    path("rollouts/<int:pk>/", rollouts.rollout, name="rollout"),
    path("rollouts/<int:pk>/sign/", sign.rollout_sign, name="rollout_sign"),
    path("rollouts/<int:pk>/difference/", difference.rollout_difference, name="rollout_difference"),
    path("rollouts/<int:pk>/live/", fragments.rollout_live, name="rollout_live"),
    path("rollouts/<int:pk>/verbs/", fragments.rollout_verbs, name="rollout_verbs"),
    path("rollouts/<int:pk>/undo/", fragments.rollout_undo, name="rollout_undo"),
    path("rollouts/<int:pk>/series.json", fragments.watch_series, name="watch_series"),
    path("steps/<int:pk>/log/", fragments.step_log, name="step_log"),
    path("rollouts/<int:pk>/submit/", verbs.rollout_submit, name="rollout_submit"),
    path("rollouts/<int:pk>/tune/", verbs.rollout_tune, name="rollout_tune"),
    path("rollouts/<int:pk>/decide/", verbs.rollout_decide, name="rollout_decide"),
    path("rollouts/<int:pk>/challenge/", proving.rollout_challenge, name="rollout_challenge"),
    path("rollouts/<int:pk>/start/", verbs.rollout_start, name="rollout_start"),
    path("rollouts/<int:pk>/glass/", glass.rollout_glass, name="rollout_glass"),
    path("rollouts/<int:pk>/glass/<int:number>/", glass.rollout_glass_review, name="rollout_glass_review"),
    path("rollouts/<int:pk>/abort/", verbs.rollout_abort, name="rollout_abort"),
    path("rollouts/<int:pk>/rollback/", verbs.rollout_rollback, name="rollout_rollback"),
    path("rollouts/<int:pk>/accept/", verbs.rollout_accept, name="rollout_accept"),
    path("rollouts/<int:pk>/cancel/", verbs.rollout_cancel, name="rollout_cancel"),
    path("rollouts/<int:pk>/settle/", verbs.rollout_settle, name="rollout_settle"),
    path("rollouts/<int:pk>/done/", decisions.rollout_done, name="rollout_done"),
    path("rollouts/<int:pk>/not-done/", decisions.rollout_not_done, name="rollout_not_done"),
    path("rollouts/<int:pk>/try-again/", decisions.rollout_try_again, name="rollout_try_again"),
    path("rollouts/<int:pk>/probe/", decisions.rollout_probe, name="rollout_probe"),
    path("rollouts/<int:pk>/review/", verbs.rollout_review, name="rollout_review"),
]
