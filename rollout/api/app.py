"""The API under /api/v1/: for CI, by bearer token; it brings and reads evidence, it never decides or starts."""

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, re_path
from ninja import NinjaAPI

from rollout.api import doors, errors, releases, rollouts

api = NinjaAPI(
    title="Guarded Rollout",
    version="1",
    description="Create releases, attach evidence, read where rollouts stand. A token can never approve or start.",
    urls_namespace="api",
    docs_url="/docs",
)
errors.install(api)
api.add_router("", releases.router)
api.add_router("", rollouts.router)


def patterns() -> tuple[list[URLResolver | URLPattern], str, str]:
    """Return what `path()` takes; the sign-in page is not for machines, each route asks for its token itself."""
    made, app_name, namespace = api.urls
    for pattern in made:
        if pattern.callback is not None:
            # the root leads nowhere, but Ninja asks for its address
            is_root = pattern.name == "api-root"
            pattern.callback = doors.unknown if is_root else login_not_required(doors.in_json(pattern.callback))
    return [*made, re_path("", doors.unknown, name="unknown")], app_name, namespace
