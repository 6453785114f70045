"""Give a person the name that his decisions print: no other person's, nor one that looks like it."""

from dataclasses import replace
from typing import Any

from django.contrib.auth import get_user_model

from monitoring import audit
from monitoring.audit import Sealed

from . import names
from .actors import about
from .change_rules import Asker
from .models import Person
from .people import printed_name
from .proof import Refused
from .roles import person_row


def set_profile(user: Any, *, name: str, zone: str, asker: Asker) -> None:
    """Set printed name and time zone; raise Refused. Old signatures keep the name that they were given under.

    The name is a signature: it takes the proof that a decision takes. The turn lets no two take one name at once.
    """
    with audit.turn():
        person = person_row(user)
        told: dict[str, Any] = {}
        if person.printed_name != name:
            asker.proved_at()
            require_own(name, of=user.pk)
            told["printed_name"] = {"old": Sealed(person.printed_name), "new": Sealed(name)}
        if person.zone != zone:
            told["zone"] = {"old": person.zone, "new": zone}
        if told:
            Person.objects.filter(pk=person.pk).update(printed_name=name, zone=zone)
            data = {"changed": sorted(told), **told}
            by = replace(asker.by, printed=person.printed_name)  # as he signed until now
            audit.append(action="person.changed", by=by, subject=about(user), data=data, now=asker.now)


def require_own(name: str, *, of: int = 0) -> None:
    """Raise Refused for a name that looks like one of another person, or is ours; `of` is who may have it."""
    if why := names.reserved(name):
        raise Refused(why)
    looks = names.looks(name)
    for other in get_user_model().objects.select_related("person").exclude(pk=of):
        if looks & (names.looks(printed_name(other)) | names.looks(other.get_username())):
            raise Refused(f"{name} looks like the name of the account {other.get_username()}: {ANOTHER}")


ANOTHER = "add what tells the two apart, such as an initial or a team."
