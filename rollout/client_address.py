"""Find out where a request came from, past the proxies that are trusted and no further; pure."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address of the client: from the peer leftwards through X-Forwarded-For, past trusted proxies only.

    Whoever is no trusted proxy may have written anything to the left of what a trusted one added.
    """
    nearest = peer
    for hop in [peer, *reversed(_hops(forwarded))]:
        address = parsed(hop)
        if address is None:
            return nearest
        nearest = str(address)
        if not is_trusted(nearest, trusted):
            return nearest
    return nearest


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Say whether a peer is one of the trusted proxies."""
    address = parsed(peer)
    return address is not None and any(address in network for network in trusted)


def parsed(text: str) -> Address | None:
    """Return an address, with or without a port; None for anything else. An IPv4 address inside an IPv6 one is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _hops(forwarded: str) -> list[str]:
    return [hop for hop in forwarded.split(",") if hop.strip()]
