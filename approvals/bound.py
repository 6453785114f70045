"""What audit entries say of a decision and of a sign-off, so that their rows can be checked against the chain.

docs/audit-format.md tells it to whoever checks it without us; `proven` is who does it here.
"""

from dataclasses import replace
from typing import Any

from monitoring import audit, canonical
from monitoring.audit import Actor

from . import signatures
from .models import Decision, SignOff

NAMES = ("printed_name", "on_behalf_name")


def document(decision: Decision) -> dict[str, Any]:
    """Return the row of a decision as bundles carry it."""
    return {
        "decision": decision.pk,
        "sign_off": decision.sign_off_id,
        "seq": decision.seq,
        "user": decision.user_id,
        "printed_name": decision.printed_name,
        "on_behalf_of": decision.on_behalf_of_id,
        "on_behalf_name": decision.on_behalf_name,
        "roles": list(decision.roles),
        "kind": decision.kind,
        "duty": decision.duty,
        "digest": decision.digest,
        "meaning": decision.meaning,
        "reason": decision.reason,
        "method": decision.method,
        "authenticated_at": audit.stamp(decision.authenticated_at),
        "zone": decision.zone,
        "diff_opened": decision.diff_opened,
        "at": audit.stamp(decision.at),
    }


def facts(decision: Decision) -> dict[str, Any]:
    """Return the digest of a decision's row; names stand outside of the chain, also in the sentence that tells one."""
    row = document(decision)
    told = {name: value for name, value in row.items() if name not in NAMES}
    told["meaning"] = row["meaning"].replace(row["on_behalf_name"], "")
    return {"decision_sha256": canonical.digest(told)}


def signed_by(by: Actor, decision: Decision) -> Actor:
    """Return an actor with the names that the decision prints."""
    return replace(by, printed=decision.printed_name, on_behalf=decision.on_behalf_name)


def carried(decision: Decision) -> dict[str, Any]:
    """Return the row of a decision with the assertion of its passkey, or None for that."""
    kept = getattr(decision, "signature", None)
    return document(decision) | {"assertion": signatures.document(kept) if kept else None}


def opening(sign_off: SignOff) -> dict[str, Any]:
    """Return who was barred from a sign-off, and the digest of all of its row that never changes."""
    row = {
        "sign_off": sign_off.pk,
        "subject": [sign_off.subject_kind, sign_off.subject_id, sign_off.subject_label],
        "component": sign_off.component,
        "environment": sign_off.environment,
        "digest": sign_off.digest,
        "policy": sign_off.policy,
        "barred": sign_off.barred,
        "unmatched_authors": sign_off.unmatched_authors,
        "opened_at": audit.stamp(sign_off.opened_at),
        "expires_at": audit.stamp(sign_off.expires_at),
    }
    return {"barred": sign_off.barred, "sign_off_sha256": canonical.digest(row)}
