"""Addresses of the places, of what remains afterwards, and of what machines ask; who may use them: `access`."""

from django.urls import include, path

from rollout.views import (
    bundles,
    components,
    controls,
    evidence,
    health,
    history,
    history_entry,
    manifests,
    population,
    releases,
    runbooks,
    targets,
    unread,
    who,
)

urlpatterns = [
    # --- places
    path("people/rights/", who.who, name="who"),
    path("components/", components.component_list, name="component_list"),
    path("components/<slug:name>/", components.component_page, name="component"),
    path("components/<slug:name>/releases/new/", releases.release_new, name="release_new"),
    path("configurations/<int:pk>/confirm/", components.configuration_confirm, name="configuration_confirm"),
    path("targets/<int:pk>/lock/", targets.target_lock, name="target_lock"),
    path("targets/<int:pk>/unlock/", targets.target_unlock, name="target_unlock"),
    path("releases/<int:pk>/", releases.release, name="release"),
    path("releases/<int:pk>/artifacts/", evidence.artifact_upload, name="artifact_upload"),
    path("releases/<int:pk>/links/", evidence.link_add, name="link_add"),
    path("artifacts/<int:pk>/", evidence.artifact, name="artifact"),
    path("rollouts/<int:pk>/manifest.json", evidence.manifest, name="manifest"),
    path("rollouts/<int:pk>/pull-request.md", evidence.pull_request, name="rollout_checklist_md"),
    # --- after the fact
    path("", include("monitoring.urls")),
    path("runbooks/", runbooks.runbook_list, name="runbook_list"),
    path("runbooks/<slug:component>/<slug:slug>/", runbooks.runbook, name="runbook"),
    path("runbook-ticks/<int:pk>/", runbooks.runbook_tick, name="runbook_tick"),
    path("history/", history.history, name="history"),
    path("history/<int:pk>/", history_entry.history_entry, name="history_entry"),
    path("history.csv", history.history_csv, name="history_csv"),
    path("history.jsonl", history.history_jsonl, name="history_jsonl"),
    path("rollouts/<int:pk>/manifests/", manifests.rollout_manifests, name="rollout_manifests"),
    path("population/", population.population, name="population"),
    path("population.csv", population.population_csv, name="population_csv"),
    path("population/bundle.zip", population.period_bundle, name="period_bundle"),
    path("rollouts/<int:pk>/bundle.zip", bundles.rollout_bundle, name="rollout_bundle"),
    path("unread-decisions/", unread.unread_decisions, name="unread_decisions"),
    path("unread-decisions.csv", unread.unread_decisions_csv, name="unread_decisions_csv"),
    path("controls/", controls.controls, name="controls"),
    # --- machines
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
