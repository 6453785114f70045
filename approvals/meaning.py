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
}


def signature(sign_off: SignOff, member: Member, kind: str, duty: str) -> dict[str, Any]:
    """Return who signs, in which duty, and the sentence that is signed."""
    duties = duty or " or ".join(rules.duties(policy_of(sign_off), member.roles))
    meaning = MEANINGS[Decision.Kind(kind)]
    return {
        "user_id": member.user_id,
        "printed_name": member.name,
        "roles": sorted(member.roles),
        "kind": kind,
        "duty": duty,
        "digest": sign_off.digest,
        "meaning": meaning.format(label=sign_off.subject_label, digest=sign_off.digest, duty=duties),
        "zone": people.zone(member.user_id),
    }
