"""The page of the API tokens: a new one is shown once, who may not sees 403, a stale password is asked again."""

import pytest
from django.utils import timezone

from rollout.models import Token
from tests.base import PASSWORD, Client
from tests.factories import make_target

NEW = "/components/dhash/tokens/new/"
LIST = "/components/dhash/tokens/"
FORM = {"name": "premerge", "scopes": ["release:write"], "days": "30"}


@pytest.fixture
def browser(cast, tmp_path):
    make_target(tmp_path)

    def sign_in(name, *, fresh=True):
        client = Client()
        assert client.login(username=name, password=PASSWORD)
        session = client.session
        session["authenticated_at"] = timezone.now().isoformat() if fresh else ""
        session.save()
        return client

    return sign_in


def test_a_new_token_is_shown_once(browser):
    rita = browser("rita")
    made = rita.post(NEW, FORM)
    prefix = Token.objects.get().prefix
    assert made.status_code == 201 and f"{prefix}_".encode() in made.content
    assert "no-store" in made.headers["Cache-Control"]
    later = rita.get(LIST)
    assert prefix.encode() in later.content and f"{prefix}_".encode() not in later.content


def test_a_stale_password_is_asked_again(browser):
    answer = browser("rita", fresh=False).post(NEW, FORM)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/confirm/?next=")
    assert not Token.objects.exists()


def test_a_wrong_form_is_400(browser):
    assert browser("rita").post(NEW, {**FORM, "days": "91"}).status_code == 400


@pytest.mark.parametrize("who", ["ann", "otto", "aud"])
def test_the_page_is_for_owners_and_admins(browser, who):
    client = browser(who)
    assert (client.get(LIST).status_code, client.post(NEW, FORM).status_code) == (403, 403)


def test_an_admin_revokes_and_twice_is_a_409(browser):
    browser("rita").post(NEW, FORM)
    ada, token = browser("ada"), Token.objects.get()
    assert ada.post(f"/tokens/{token.pk}/revoke/").status_code == 302
    assert ada.post(f"/tokens/{token.pk}/revoke/").status_code == 409
    assert ada.get(f"/tokens/{token.pk}/revoke/").status_code == 405
