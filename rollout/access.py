"""One table of route × method × role × object; deny by default: a route, a method, an object without a row is closed.

ANYONE needs no sign-in, SIGNED_IN needs one, otherwise any of the groups named. A row with `of` is about an object of a
component: the role must hold for that component. To somebody whose roles are limited to other components the object
does not exist: he gets the same 404 as for one that never was, whether he would read or act. `lists` says that the
page tells of several components; it shows him those that his roles hold for. What a state allows, and once more the
roles, is asked by `actions`, in the transaction that acts. The API's routes ask for a scope (`TOKENS`).
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from approvals.people import limits
from rollout import access_admin, belongs
from rollout.belongs import Finder

T = TypeVar("T", bound=Model)
ANYONE: frozenset[str] = frozenset({"*"})
SIGNED_IN: frozenset[str] = frozenset({"signed in"})
NOBODY: frozenset[str] = frozenset()
RELEASE_OWNER, APPROVER, OPS, DEPLOY_OPERATOR = "release-owner", "approver", "ops", "deploy-operator"
MEDIA_ENG, TRIAGE, AUDITOR, ADMIN = "media-eng", "triage", "auditor", "admin"
GROUPS = (RELEASE_OWNER, APPROVER, OPS, DEPLOY_OPERATOR, MEDIA_ENG, TRIAGE, AUDITOR, ADMIN)

READERS = frozenset(GROUPS)
DECIDERS = frozenset({APPROVER, OPS, DEPLOY_OPERATOR, MEDIA_ENG})
STARTERS = frozenset({DEPLOY_OPERATOR})
STOPPERS = frozenset({DEPLOY_OPERATOR, OPS, TRIAGE})
# who may start in an emergency without the complete sign-off
BREAKERS = STARTERS | {OPS}
OWNERS = frozenset({RELEASE_OWNER})
RESPONDERS = frozenset({DEPLOY_OPERATOR, OPS, TRIAGE, RELEASE_OWNER, MEDIA_ENG})
ADMINS, AUDITORS = frozenset({ADMIN}), frozenset({AUDITOR, ADMIN})

GET, LOOK, POST, FORM = ("GET",), ("GET", "HEAD"), ("POST",), ("GET", "HEAD", "POST")
NOTHING = "there is no such thing"


@dataclass(frozen=True)
class Row:
    """Who may use a route, by which methods, and of which object it is."""

    roles: frozenset[str]
    methods: tuple[str, ...]
    # route values -> name of the object's component; None: the route is about no object
    of: Finder | None = None
    lists: bool = False
    whole: bool = False  # about the whole installation: a role that is limited to components does not count


def read(roles: frozenset[str], of: Finder | None = None, *, lists: bool = False, whole: bool = False) -> Row:
    """Return the row of a route that only shows."""
    return Row(roles, GET, of, lists, whole)


def look(roles: frozenset[str]) -> Row:
    """Return the row of a route that machines look at."""
    return Row(roles, LOOK)


def verb(roles: frozenset[str], of: Finder | None = None, *, whole: bool = False) -> Row:
    """Return the row of a route that only acts."""
    return Row(roles, POST, of, whole=whole)


def form(roles: frozenset[str], of: Finder | None = None, *, lists: bool = False, whole: bool = False) -> Row:
    """Return the row of a route that shows a form and takes it."""
    return Row(roles, FORM, of, lists, whole)


DOORS: tuple[str, ...] = ("login", "admin_login", "first_admins", "choose_password")
# allauth's names: the second step, a passkey, single sign-on
DOORS += ("account_login", "mfa_authenticate", "mfa_login_webauthn")
ONESELF = ("confirm", "password", "app_add", "passkey_add", "recovery_codes", "sessions")

ROUTES: dict[str, Row] = {
    **dict.fromkeys(DOORS, form(ANYONE)),
    **dict.fromkeys(ONESELF, form(SIGNED_IN)),
    "logout": verb(SIGNED_IN),
    "admin:logout": verb(ADMINS, whole=True),
    **dict.fromkeys(("admin_password", "admin_password_done"), read(ADMINS)),
    "sso": verb(ANYONE),
    "openid_connect_callback": read(ANYONE),
    "security": read(SIGNED_IN),
    **dict.fromkeys(("factor_remove", "identity_remove"), verb(SIGNED_IN, belongs.himself)),
    # who holds which role is no secret among those who hold one
    "people": read(READERS),
    "who": read(READERS, lists=True),
    "person": form(SIGNED_IN),
    "person_sessions": form(ADMINS, whole=True),
    "person_new": form(ADMINS, whole=True),
    **dict.fromkeys(("change_list", "change"), read(ADMINS | {AUDITOR}, whole=True)),
    "change_answer": verb(ADMINS, whole=True),
    "delegations": form(READERS),
    "delegation_end": verb(READERS, belongs.himself),
    # --- rollouts: the page, its fragments, its verbs
    "dashboard": read(READERS, lists=True),
    "inbox": read(READERS, lists=True),
    "rollout_list": read(READERS, lists=True),
    "rollout_new": form(OWNERS, lists=True),
    "rollout": read(READERS, belongs.rollout),
    "rollout_live": read(READERS, belongs.rollout),
    "rollout_sign": read(READERS, belongs.rollout),
    "rollout_difference": read(READERS, belongs.rollout),
    "rollout_verbs": read(READERS, belongs.rollout),
    "rollout_undo": read(READERS, belongs.rollout),
    "watch_series": read(READERS, belongs.rollout),
    "step_log": read(READERS, belongs.step),
    "rollout_submit": verb(OWNERS | DECIDERS, belongs.rollout),
    "rollout_tune": verb(OWNERS | STOPPERS | DECIDERS, belongs.rollout),
    "rollout_decide": verb(DECIDERS, belongs.rollout),
    "rollout_challenge": verb(DECIDERS | STARTERS | BREAKERS, belongs.rollout),
    "rollout_start": verb(STARTERS | {OPS}, belongs.rollout),
    "rollout_glass": form(BREAKERS, belongs.rollout),
    "rollout_glass_review": verb(DECIDERS, belongs.rollout),
    "rollout_abort": verb(STOPPERS, belongs.rollout),
    "rollout_rollback": verb(STOPPERS, belongs.rollout),
    "rollout_accept": verb(STOPPERS, belongs.rollout),
    "rollout_cancel": verb(OWNERS | STOPPERS, belongs.rollout),
    "rollout_settle": verb(STOPPERS, belongs.rollout),
    **dict.fromkeys(("rollout_done", "rollout_not_done"), verb(STOPPERS, belongs.rollout)),
    "rollout_try_again": verb(STOPPERS, belongs.rollout),
    "rollout_probe": verb(STOPPERS, belongs.rollout),
    "rollout_review": verb(RESPONDERS | DECIDERS, belongs.rollout),
    "rollout_publish": verb(OWNERS | DECIDERS | STOPPERS, belongs.rollout),
    "rollout_merge": verb(OWNERS | DECIDERS, belongs.rollout),
    # --- places: components, releases, evidence
    "component_list": read(READERS, lists=True),
    "component": read(READERS, belongs.component),
    "configuration_confirm": verb(ADMINS, belongs.configuration),
    "target_lock": verb(STOPPERS, belongs.target),
    "target_unlock": verb(STOPPERS, belongs.target),
    "release_new": form(OWNERS, belongs.component),
    "release": read(READERS, belongs.release),
    "artifact_upload": verb(OWNERS, belongs.release),
    "link_add": verb(OWNERS, belongs.release),
    "artifact": read(READERS, belongs.artifact),
    "manifest": read(READERS, belongs.rollout),
    "rollout_checklist_md": read(READERS, belongs.rollout),
    "token_list": read(OWNERS | ADMINS, belongs.component),
    "token_create": verb(OWNERS | ADMINS, belongs.component),
    "token_revoke": verb(OWNERS | ADMINS, belongs.token),
    # --- after the fact: incidents, runbooks, history
    "incident_list": read(READERS, lists=True),
    "incident": read(READERS, belongs.incident),
    "incident_note": verb(RESPONDERS, belongs.incident),
    "incident_acknowledge": verb(RESPONDERS, belongs.incident),
    "incident_severity": verb(RESPONDERS, belongs.incident),
    "incident_close": verb(RESPONDERS, belongs.incident),
    "attachment": read(READERS, belongs.attachment),
    "notice_list": read(READERS, lists=True),
    "runbook_list": read(READERS, lists=True),
    "runbook": read(READERS, belongs.component),
    "runbook_tick": verb(RESPONDERS | DECIDERS, belongs.runbook),
    "history": read(READERS, lists=True),
    "history_csv": read(READERS, lists=True),
    "history_jsonl": read(AUDITORS, lists=True),  # with the addresses and sessions that the hashes cover
    "history_entry": read(READERS, belongs.entry),
    "rollout_manifests": read(READERS, belongs.rollout),
    "population": read(READERS, lists=True),
    **dict.fromkeys(("population_csv", "unread_decisions_csv"), read(AUDITORS, lists=True)),
    "period_bundle": read(AUDITORS, whole=True),  # the chain in it tells of every component
    "rollout_bundle": read(AUDITORS, belongs.rollout, whole=True),
    "unread_decisions": read(READERS, lists=True),
    "controls": read(READERS, whole=True),  # it counts over everything
    # --- machines: health, metrics, the API
    **dict.fromkeys(("healthz", "readyz", "metrics"), look(ANYONE)),
}
# Django's admin asks for permissions of its own as well; what it shows by a name that is not listed is closed
ROUTES |= {f"admin:{name}": read(ADMINS, whole=True) for name in access_admin.READS}
ROUTES |= {f"admin:{name}": form(ADMINS, whole=True) for name in access_admin.FORMS}
ROUTES |= {f"admin:{name}": Row(NOBODY, (), whole=True) for name in access_admin.CLOSED}
# the whole namespace has one row: it asks for tokens
API = Row(ANYONE, (*FORM, "PUT", "PATCH", "DELETE", "OPTIONS"))
READ, WRITE = "rollout:read", "release:write"
# operation of the API -> the scope that a token needs for it; none lets it approve, start or change what is signed
TOKENS: dict[str, str] = {
    "create_release": WRITE,
    "put_artifact": WRITE,
    "add_link": WRITE,
    "list_releases": READ,
    "get_release": READ,
    "list_rollouts": READ,
    "get_rollout": READ,
    "get_checklist": READ,
    "get_manifest": READ,
    "get_artifact": READ,
}


def check(request: HttpRequest) -> HttpResponse | None:
    """Raise PermissionDenied, which names the roles that could, or Http404; return a refusal of the method, or None."""
    match = request.resolver_match
    route = (match.view_name if match else "") or ""
    row = row_of(route)
    if row is None:
        raise PermissionDenied(f"the route {route!r} has no row in the access table")
    request.limits = limits(request.user)  # type: ignore[attr-defined]  # by these, monitoring shows its lists
    _check_roles(request, route, row)
    if request.method not in row.methods:
        return HttpResponseNotAllowed(row.methods)
    if row.of is not None:
        _check_object(request, row, row.of, match.kwargs if match else {})
    return None


def groups_of(request: HttpRequest) -> frozenset[str]:
    """Return the names of the user's groups, asked once a request."""
    if not hasattr(request, "group_names"):
        names = request.user.groups.values_list("name", flat=True) if request.user.is_authenticated else ()
        request.group_names = frozenset(names)  # type: ignore[attr-defined]
    return request.group_names  # type: ignore[attr-defined, no-any-return]


def row_of(route: str) -> Row | None:
    """Return the row of a route, or None when nobody wrote one."""
    return API if route.startswith("api:") else ROUTES.get(route)


def known(user: Any, rows: QuerySet[T], component: str = "component") -> QuerySet[T]:
    """Keep the rows that a user may know of: those of his components, and those about none.

    `component` is the path to the component's name.
    """
    only = limits(user)
    return rows if only is None else rows.filter(**{f"{component}__in": [*only, ""]})


def _check_roles(request: HttpRequest, route: str, row: Row) -> None:
    if row.roles is ANYONE:
        return
    if not request.user.is_authenticated:
        # LoginRequiredMiddleware has sent the others to the sign-in page: this view says that it needs none
        raise PermissionDenied(f"the route {route!r} is open to nobody without sign-in, whatever its view says")
    if row.roles is not SIGNED_IN and not row.roles & groups_of(request):
        raise PermissionDenied(f"This page is for {' or '.join(sorted(row.roles)) or 'nobody'}.")
    if row.whole and limits(request.user) is not None:
        raise PermissionDenied(f"This page is for {' or '.join(sorted(row.roles))} of every component.")


def _check_object(request: HttpRequest, row: Row, of: Finder, values: dict[str, Any]) -> None:
    component = of(values)
    only = limits(request.user)
    # an incident about no component concerns everybody
    if component is None or (component and only is not None and component not in only):
        raise Http404(NOTHING)
