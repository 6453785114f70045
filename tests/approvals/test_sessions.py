"""Open sessions: listed with where and when, ended by owner or admin, or because nobody uses them."""

from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from approvals import sessions, stepup
from approvals.models import BrowserSession
from monitoring.models import AuditEntry
from tests.base import PASSWORD, Client

Cast = dict[str, User]
PHONE = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
HERE = "/account/sessions/"


def sign_in(user: User, agent: str = "", address: str = "192.0.2.7") -> Client:
    client = Client(headers={"User-Agent": agent} if agent else None, REMOTE_ADDR=address)
    client.post(reverse("login"), {"username": user.username, "password": PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def rows(user: User) -> list[int]:
    return list(BrowserSession.objects.filter(user=user).order_by("pk").values_list("pk", flat=True))


def let_pass(client: Client, seconds: float) -> None:
    """Let so much time pass since somebody used this session."""
    session = client.session
    session[sessions.USED] = (timezone.now() - timedelta(seconds=seconds)).isoformat()
    session.save()


def test_a_session_is_listed_with_browser_address_and_method(cast: Cast) -> None:
    sign_in(cast["ann"], PHONE)
    shown = sign_in(cast["ann"], address="192.0.2.8").get(HERE).content.decode()
    assert "Chrome on Android" in shown and "192.0.2.7" in shown and "signed in by password" in shown
    assert shown.count("this one") == 1


def test_its_owner_ends_another_session_at_once(cast: Cast) -> None:
    lost, here = sign_in(cast["ann"], PHONE), sign_in(cast["ann"])
    here.post(HERE, {"session": str(rows(cast["ann"])[0])})
    assert not is_in(lost) and is_in(here)
    told = AuditEntry.objects.latest("seq")
    assert (told.action, told.why, told.actor_id) == ("user.session_ended", "ended by its owner", cast["ann"].pk)


def test_all_the_others_end_together(cast: Cast) -> None:
    others = [sign_in(cast["ann"]) for _ in range(2)]
    here = sign_in(cast["ann"])
    here.post(HERE, {"session": "others"})
    assert [is_in(one) for one in (*others, here)] == [False, False, True]


def test_nobody_ends_anothers_session_on_his_own_page(cast: Cast) -> None:
    theirs, mine = sign_in(cast["abe"]), sign_in(cast["ann"])
    mine.post(HERE, {"session": str(rows(cast["abe"])[0])})
    assert is_in(theirs)


def test_an_admin_ends_the_sessions_of_a_person(cast: Cast) -> None:
    theirs, ada = sign_in(cast["ann"]), sign_in(cast["ada"])
    ada.post(reverse("person_sessions", args=[cast["ann"].pk]), {"session": "others"})
    assert not is_in(theirs) and is_in(ada)
    assert AuditEntry.objects.latest("seq").why == "ended by an admin"


@pytest.mark.parametrize("name", ["ann", "aud", "otto"])
def test_only_admins_see_anothers_sessions(cast: Cast, name: str) -> None:
    assert sign_in(cast[name]).get(reverse("person_sessions", args=[cast["abe"].pk])).status_code == 403


def test_ending_a_session_needs_a_recent_proof(cast: Cast) -> None:
    lost, here = sign_in(cast["ann"]), sign_in(cast["ann"])
    session = here.session
    del session[stepup.KEY]
    session.save()
    assert here.post(HERE, {"session": "others"}).url.startswith("/confirm/")
    assert is_in(lost)


def test_a_session_goes_on_in_the_list_under_its_new_key(cast: Cast) -> None:
    here = sign_in(cast["ann"])
    before = here.session.session_key
    here.post("/confirm/", {"password": PASSWORD})
    assert here.session.session_key != before and rows(cast["ann"])
    assert "this one" in here.get(HERE).content.decode()


def test_whoever_signs_in_over_another_takes_his_place(cast: Cast) -> None:
    keys = [sign_in(cast[name]).session.session_key for name in ("ann", "abe")]
    sessions.follow(*keys)
    assert (rows(cast["ann"]), len(rows(cast["abe"]))) == ([], 1)


def test_a_sign_out_takes_the_session_off_the_list(cast: Cast) -> None:
    sign_in(cast["ann"]).post(reverse("logout"))
    assert rows(cast["ann"]) == []


def test_a_session_that_a_new_password_closed_is_not_listed(cast: Cast) -> None:
    sign_in(cast["ann"])
    cast["ann"].set_password("another horse battery")
    cast["ann"].save()
    assert sessions.of(cast["ann"], current=None, now=timezone.now()) == []


def test_a_session_that_nobody_used_for_an_hour_ends(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    let_pass(client, 3601)
    assert client.get("/account/").url == "/login/?next=/account/"
    assert "nobody used this session" in client.get("/login/").content.decode()
    assert rows(cast["ann"]) == [] and AuditEntry.objects.latest("seq").action == "user.session_ended"


def test_a_session_that_is_used_goes_on(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    let_pass(client, 3599)
    assert is_in(client)
    let_pass(client, 1)
    assert is_in(client)


def age(user: User, seconds: float) -> None:
    """Let the sign-in of a user be so long ago."""
    BrowserSession.objects.filter(user=user).update(started_at=timezone.now() - timedelta(seconds=seconds))


def test_a_session_ends_twelve_hours_after_the_sign_in_however_much_it_is_used(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    age(cast["ann"], 12 * 3600 - 5)
    assert is_in(client)
    age(cast["ann"], 12 * 3600 + 1)
    assert client.get("/account/").url == "/login/?next=/account/"
    assert "this session was too old" in client.get("/login/").content.decode()
    assert rows(cast["ann"]) == [] and AuditEntry.objects.latest("seq").why == sessions.OLD


def test_a_page_that_polls_and_a_new_proof_do_not_make_a_session_younger(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    age(cast["ann"], 12 * 3600 - 5)
    client.post("/confirm/", {"password": PASSWORD})
    assert rows(cast["ann"])
    age(cast["ann"], 12 * 3600 + 1)
    assert client.get("/account/", headers={"HX-Request": "true"}).status_code == 302


def as_it_is(client: Client) -> Client:
    """Return who asks with the key that a session has now, also when it has another one later."""
    before = Client()
    before.cookies["sessionid"] = client.cookies["sessionid"].value
    return before


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {"X-Poll": "1"}, {}])
def test_what_was_asked_before_a_new_proof_takes_no_cookie_back(cast: Cast, headers: dict[str, str]) -> None:
    client = sign_in(cast["ann"])
    before = as_it_is(client)
    client.post("/confirm/", {"password": PASSWORD})
    for address in ("/account/", "/login/?next=/account/"):
        assert "sessionid" not in before.get(address, headers=headers).cookies


def test_a_session_that_gets_another_key_while_it_is_read_takes_no_cookie_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, why_over = sign_in(cast["ann"]), sessions.why_over
    before = as_it_is(client)

    def prove_meanwhile(request: HttpRequest, *, now: datetime) -> str:
        monkeypatch.setattr(sessions, "why_over", why_over)
        client.post("/confirm/", {"password": PASSWORD})
        return why_over(request, now=now)

    monkeypatch.setattr(sessions, "why_over", prove_meanwhile)
    answer = before.get("/account/", headers={"HX-Request": "true"})
    assert (answer.status_code, "sessionid" in answer.cookies, is_in(client)) == (302, False, True)


def test_a_session_that_is_about_to_get_another_key_is_not_forgotten_by_what_was_asked_before(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, follow = sign_in(cast["ann"]), sessions.follow
    before = as_it_is(client)

    def ask_meanwhile(old: str, new: str | None) -> None:
        monkeypatch.setattr(sessions, "follow", follow)
        before.get("/account/", headers={"HX-Request": "true"})
        follow(old, new)

    monkeypatch.setattr(sessions, "follow", ask_meanwhile)
    client.post("/confirm/", {"password": PASSWORD})
    assert is_in(client)


def test_whoever_signs_out_gives_the_cookie_back(cast: Cast) -> None:
    assert sign_in(cast["ann"]).post("/logout/").cookies["sessionid"]["max-age"] == 0


def test_how_old_a_session_grows_is_a_setting(cast: Cast, settings: LazySettings) -> None:
    settings.GR_SESSION_SECONDS = 60
    client = sign_in(cast["ann"])
    age(cast["ann"], 61)
    assert not is_in(client)


def test_a_session_that_nobody_can_see_is_over(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    BrowserSession.objects.all().delete()
    assert not is_in(client)


@pytest.mark.parametrize("header", ["HX-Request", "X-Poll"])
def test_a_page_that_polls_keeps_no_session_open(cast: Cast, header: str) -> None:
    client = sign_in(cast["ann"])
    let_pass(client, 3000)
    before = client.session[sessions.USED]
    client.get("/account/", headers={header: "true"})
    assert client.session[sessions.USED] == before
    client.get("/account/")
    assert client.session[sessions.USED] > before


def test_a_click_within_a_minute_writes_nothing(cast: Cast) -> None:
    client = sign_in(cast["ann"])
    before = client.session[sessions.USED]
    client.get("/account/")
    assert client.session[sessions.USED] == before


def test_the_span_is_a_setting(cast: Cast, settings: object) -> None:
    settings.GR_SESSION_IDLE_SECONDS = 60  # type: ignore[attr-defined]
    client = sign_in(cast["ann"])
    let_pass(client, 61)
    assert not is_in(client)


def test_sessions_that_ran_out_are_forgotten(cast: Cast) -> None:
    sign_in(cast["ann"])
    sessions.forget(timezone.now())
    assert len(rows(cast["ann"])) == 1
    sessions.forget(timezone.now() + timedelta(hours=13))
    assert rows(cast["ann"]) == []
