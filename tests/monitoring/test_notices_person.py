"""Whoever a message is about gets it himself, at the address of now."""

import pytest
from django.contrib.auth.models import User
from django.core import mail

from monitoring import notices
from monitoring.audit import Subject
from monitoring.models import Notice
from monitoring.routes import Route

from .effects import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def outside(settings, tmp_path):
    settings.GR_NOTICE_FILE = tmp_path / "notices.log"
    settings.GR_EMAIL_TO = ["ops@example.com"]


def queue(user: User | None, kind: str = "user") -> Notice:
    """Queue a message about a person, to the person."""
    subject = Subject(kind=kind, id=str(user.pk if user else 0), label="user 1")
    values = {"severity": "warning", "context": {}, "key": "k", "url": "", "now": NOW}
    return notices.queue("change_confirmed", subject=subject, routes=[Route(channel="person")], **values)[0]


def test_it_goes_to_the_address_that_the_account_has_when_it_is_sent() -> None:
    user = User.objects.create_user("ann", "old@example.com")
    queue(user)
    User.objects.update(email="ann@example.com")
    notices.deliver_due(NOW)
    assert [one.to for one in mail.outbox] == [["ann@example.com"]]


def test_no_address_stands_in_the_outbox() -> None:
    notice = queue(User.objects.create_user("ann", "ann@example.com"))
    assert "ann@example.com" not in str(vars(notice))


@pytest.mark.parametrize("kind", ["user", "rollout"])
def test_who_has_no_address_is_told_of_in_the_file(kind: str, settings) -> None:
    user = User.objects.create_user("ann", "" if kind == "user" else "ann@example.com")
    queue(user, kind)
    notices.deliver_due(NOW)
    assert mail.outbox == [] and Notice.objects.get().state == "FELL_BACK"
    assert "no e-mail address" in settings.GR_NOTICE_FILE.read_text()


def test_without_mail_there_is_no_such_channel(settings) -> None:
    settings.GR_EMAIL_TO = []
    assert queue(User.objects.create_user("ann", "ann@example.com")).channel == "file"
