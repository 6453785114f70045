"""Where the browser is: the host that passkeys are bound to, and the one origin that is believed."""

from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Site:
    """`rp_id` is the relying party of WebAuthn, a host name without its port."""

    rp_id: str
    origin: str


def site_of(request: HttpRequest) -> Site:
    """Return where a request came to; Django has compared the host with DJANGO_ALLOWED_HOSTS."""
    host = request.get_host()
    return Site(rp_id=host.rpartition(":")[0] if ":" in host else host, origin=f"{request.scheme}://{host}")
