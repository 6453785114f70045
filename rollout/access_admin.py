"""Which views of Django's admin site exist here, by name: a new one of Django's is no choice of ours."""

# what every page of it needs, and where an address that is none gets its 404
PLAIN = frozenset(
    {
        "index",
        "app_list",
        "jsi18n",
        "django.contrib.admin.sites.catch_all_view",
        "django.views.generic.base.RedirectView",
    }
)
TABLES = {
    "approvals": ("change", "changeanswer", "decision", "person", "signoff"),
    "auth": ("group", "user"),
    "monitoring": (
        *("attachment", "auditentry", "checkpoint", "incident", "incidententry", "notice", "noticeattempt", "poll"),
        *("sample", "timestamp", "watch"),
    ),
    "rollout": (
        *("artifact", "backup", "breakglass", "component", "configuration", "diffreading", "effect", "environment"),
        *("evidencelink", "freeze", "glassreview", "heartbeat", "idempotency", "release", "rollout", "run", "runbook"),
        *("runbooktick", "step", "target", "token"),
    ),
}  # fmt: skip
READS = PLAIN | {
    f"{app}_{table}_{view}" for app, tables in TABLES.items() for table in tables for view in ("changelist", "history")
}
# a row's own page takes a form; that every table but freezes refuses one is asked by its permissions
FORMS = {"rollout_freeze_add"} | {f"{app}_{table}_change" for app, tables in TABLES.items() for table in tables}
# deliberately closed, also to admins: that a name is in neither list fails the suite
CLOSED = (
    frozenset({"autocomplete", "login", "password_change", "password_change_done", "view_on_site"})
    | {f"{app}_{table}_{view}" for app, tables in TABLES.items() for table in tables for view in ("add", "delete")}
    - FORMS
)
