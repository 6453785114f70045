"""What a person signs: the sentence, and the facts about him that history needs."""

from typing import Any

from . import people, rules
from .models import Decision, SignOff
from .reading import policy_of
from .voices import Member

MEANINGS = {
    Decision.Kind.APPROVE: "I have reviewed {label} with digest {digest} and approve it as {duty}.",
    Decision.Kind.REJECT: "I have reviewed {label} with digest {digest} and reject it.",
    Decision.Kind.REVOKE: "I take back my approval of {label} with digest {digest}.",
    Decision.Kind.START: "I have seen that {label} with digest {digest} is approved, and start it.",
    Decision.Kind.BYPASS: "I start {label} with digest {digest} although its sign-off is not complete.",
}


def words(reason: str) -> str:
    """Return a reason as it is signed and kept: a form sends the ends of lines otherwise than a script reads them."""
    return reason.replace("\r\n", "\n").strip()


def signature(sign_off: SignOff, member: Member, kind: str, duty: str, absent: Member | None = None) -> dict[str, Any]:
    """Return who signs, in which duty, on whose behalf, and the sentence that is signed."""
    source = absent or member
    duties = duty or " or ".join(rules.duties(policy_of(sign_off), source.roles))
    if absent is not None:
        duties += f" on behalf of {absent.name}"
    meaning = MEANINGS[Decision.Kind(kind)]
    return {
        "user_id": member.user_id,
        "printed_name": member.name,
        "on_behalf_of_id": absent.user_id if absent is not None else None,
        "on_behalf_name": absent.name if absent is not None else "",
        "roles": sorted(source.roles),
        "kind": kind,
        "duty": duty,
        "digest": sign_off.digest,
        "meaning": meaning.format(label=sign_off.subject_label, digest=sign_off.digest, duty=duties),
        "zone": people.zone(member.user_id),
    }
