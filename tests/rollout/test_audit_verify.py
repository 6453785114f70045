"""`manage.py audit verify` compares what people decided with what the chain tells of it."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from approvals.models import Decision
from rollout.models import Target
from tests import factories
from tests.approvals import forger

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def approved(target: Target, cast: dict[str, User]) -> None:
    factories.make_approved(target, cast)


def run(*argv: str) -> str:
    out = io.StringIO()
    call_command("audit", *argv, stdout=out)
    return out.getvalue()


def test_it_says_what_it_compared() -> None:
    assert "1 sign-offs and 3 decisions are what the chain tells of them, both ways" in run("verify")


def test_an_edited_decision_ends_it_with_1_and_is_named() -> None:
    forger.edit(Decision.objects.get(user__username="ann"), printed_name="Otto")
    with pytest.raises(CommandError, match="by Otto: printed_name is 'Otto', but #") as broken:
        run("verify")
    assert broken.value.returncode == 1


def test_a_script_reads_it_too() -> None:
    forger.remove(Decision.objects.get(user__username="ann"))
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert not told["ok"] and any("tells of it, but it is not there" in problem for problem in told["problems"])
