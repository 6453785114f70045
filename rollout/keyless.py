"""Which POST of a browser may come without an idempotency key, and why; every other one is refused without."""

# A route, or a namespace with its colon -> why.
KEYLESS: dict[str, str] = {
    # --- nobody is signed in, so there is nobody whose key it could be
    "login": "nobody is signed in yet, and whoever is signed in is only led on",
    "account_login": "is login by allauth's name",
    "mfa_authenticate": "nobody is signed in yet; each code and each challenge is good once",
    "mfa_login_webauthn": "nobody is signed in yet; each challenge is good once",
    "sso": "nobody is signed in yet; it only leads to the identity provider",
    "admin_login": "only leads to the sign-in",
    "first_admins": "nobody is signed in, and the link works once",
    "choose_password": "nobody is signed in, and the link works once",
    # --- twice is no more than once
    "logout": "what has ended does not end again",
    "admin:logout": "is logout in a form of Django's own",
    "confirm": "only the session learns that its person was there a moment ago; it may learn so again",
    "rollout_challenge": "the same form asks again when a passkey was cancelled; the decision that follows has the key",
    # --- has another one
    "api:": "machines send the header Idempotency-Key; docs/api.md says why it is asked for, not demanded",
}


def may_lack_key(route: str) -> bool:
    """Say whether a POST to a route may come without a key."""
    space, colon, _ = route.rpartition(":")
    return route in KEYLESS or (space + colon) in KEYLESS
