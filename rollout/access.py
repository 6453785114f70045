"""One table: which route which roles may use; deny by default; a route without a row fails the tests.

ANYONE needs no sign-in, SIGNED_IN needs one, otherwise any of the groups named. What a role may do to an *object* (its
own rollout, another component) is asked by `actions`, in the transaction that does it.
"""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

ANYONE: frozenset[str] = frozenset({"*"})
SIGNED_IN: frozenset[str] = frozenset({"signed in"})
RELEASE_OWNER, APPROVER, OPS, DEPLOY_OPERATOR = "release-owner", "approver", "ops", "deploy-operator"
MEDIA_ENG, TRIAGE, AUDITOR, ADMIN = "media-eng", "triage", "auditor", "admin"
GROUPS = (RELEASE_OWNER, APPROVER, OPS, DEPLOY_OPERATOR, MEDIA_ENG, TRIAGE, AUDITOR, ADMIN)

READERS = frozenset(GROUPS)
DECIDERS = frozenset({APPROVER, OPS, DEPLOY_OPERATOR, MEDIA_ENG})
STARTERS = frozenset({DEPLOY_OPERATOR})
STOPPERS = frozenset({DEPLOY_OPERATOR, OPS, TRIAGE})
OWNERS = frozenset({RELEASE_OWNER})
RESPONDERS = frozenset({DEPLOY_OPERATOR, OPS, TRIAGE, RELEASE_OWNER, MEDIA_ENG})
ADMINS = frozenset({ADMIN})

ROUTES: dict[str, frozenset[str]] = {
    "login": ANYONE,
    "logout": ANYONE,
    "admin_login": ANYONE,
    "first_admins": ANYONE,
    "confirm": SIGNED_IN,
    "people": READERS,
    "person": SIGNED_IN,
    # --- rollouts: the page, its fragments, its verbs
    "dashboard": READERS,
    "inbox": READERS,
    "rollout_list": READERS,
    "rollout_new": OWNERS,
    "rollout": READERS,
    "rollout_live": READERS,
    "rollout_verbs": READERS,
    "rollout_undo": READERS,
    "watch_series": READERS,
    "step_log": READERS,
    "rollout_submit": OWNERS | DECIDERS,
    "rollout_tune": OWNERS | STOPPERS | DECIDERS,
    "rollout_decide": DECIDERS,
    "rollout_start": STARTERS | {OPS},
    "rollout_abort": STOPPERS,
    "rollout_rollback": STOPPERS,
    "rollout_accept": STOPPERS,
    "rollout_cancel": OWNERS | STOPPERS,
    "rollout_settle": STOPPERS,
    "rollout_review": RESPONDERS | DECIDERS,
    # --- places: components, releases, evidence
    "component_list": READERS,
    "component": READERS,
    "configuration_confirm": ADMINS,
    "target_lock": STOPPERS,
    "target_unlock": STOPPERS,
    "release_new": OWNERS,
    "release": READERS,
    "artifact_upload": OWNERS,
    "link_add": OWNERS,
    "artifact": READERS,
    "manifest": READERS,
    "rollout_checklist_md": READERS,
    # --- after the fact: incidents, runbooks, history
    "incident_list": READERS,
    "incident": READERS,
    "incident_note": RESPONDERS,
    "incident_acknowledge": RESPONDERS,
    "incident_severity": RESPONDERS,
    "incident_close": RESPONDERS,
    "attachment": READERS,
    "notice_list": READERS,
    "runbook_list": READERS,
    "runbook": READERS,
    "runbook_tick": RESPONDERS | DECIDERS,
    "history": READERS,
    "history_csv": READERS,
    # --- machines: health, metrics, the API
    "healthz": ANYONE,
    "readyz": ANYONE,
    "metrics": ANYONE,
    "token_list": OWNERS | ADMINS,
    "token_create": OWNERS | ADMINS,
    "token_revoke": OWNERS | ADMINS,
    "rollout_publish": OWNERS | DECIDERS | STOPPERS,
    "rollout_merge": OWNERS | DECIDERS,
}


def check(request: HttpRequest) -> None:
    """Raise PermissionDenied, which names the roles that could, unless the route is open to this user."""
    match = request.resolver_match
    route = match.view_name if match else ""
    allowed = row_of(route or "")
    if allowed is None:
        raise PermissionDenied(f"the route {route!r} has no row in the access table")
    if allowed is ANYONE:
        return
    if not request.user.is_authenticated:
        # LoginRequiredMiddleware has sent the others to the sign-in page: this view says that it needs none
        raise PermissionDenied(f"the route {route!r} is open to nobody without sign-in, whatever its view says")
    if allowed is not SIGNED_IN and not allowed & groups_of(request):
        raise PermissionDenied(f"This page is for {' or '.join(sorted(allowed))}.")


def groups_of(request: HttpRequest) -> frozenset[str]:
    """Return the names of the user's groups, asked once a request."""
    if not hasattr(request, "group_names"):
        names = request.user.groups.values_list("name", flat=True) if request.user.is_authenticated else ()
        request.group_names = frozenset(names)  # type: ignore[attr-defined]
    return request.group_names  # type: ignore[attr-defined, no-any-return]


def row_of(route: str) -> frozenset[str] | None:
    """Return who may use a route, or None when nobody said."""
    # a whole namespace has one row: Django's admin asks for permissions of its own, the API for tokens
    if ":" in route:
        return {"admin": ADMINS, "api": ANYONE}.get(route.partition(":")[0])
    return ROUTES.get(route)
