"""An installation may ask everybody for a second factor, before anything else."""

import pytest
from allauth.mfa.models import Authenticator
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from approvals import factors
from approvals.proof import Refused
from rollout.second_factor import SETTING_UP

from .app import SECRET
from .world import actor

Cast = dict[str, User]
SIGNED_IN_PAGES = ["/", "/inbox/", "/rollouts/", "/people/", "/rollouts/999/", "/admin/"]


@pytest.fixture(autouse=True)
def required(settings: LazySettings) -> None:
    settings.GR_REQUIRE_SECOND_FACTOR = True


@pytest.fixture
def ann(cast: Cast) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(cast["ann"])
    return client


def add_app(user: User) -> Authenticator:
    return Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": SECRET})


@pytest.mark.parametrize("path", SIGNED_IN_PAGES)
def test_every_page_leads_to_where_it_is_set_up(ann: Client, path: str) -> None:
    answer = ann.get(path)
    assert (answer.status_code, answer.headers.get("Location")) == (302, reverse("security"))


def test_nothing_is_done_by_somebody_without_one(ann: Client, cast: Cast) -> None:
    answer = ann.post(reverse("delegations"), {"deputy": cast["abe"].pk})
    assert answer.headers["Location"] == reverse("security")


@pytest.mark.parametrize("route", sorted(SETTING_UP - {"logout"}))
def test_what_sets_it_up_is_open(ann: Client, route: str) -> None:
    assert ann.get(reverse(route)).headers.get("Location", "") != reverse("security")


def test_the_page_says_why(ann: Client) -> None:
    assert b"Set up a second factor first." in ann.get(reverse("security")).content


def test_with_one_every_page_opens(ann: Client, cast: Cast) -> None:
    add_app(cast["ann"])
    assert ann.get("/inbox/").status_code == 200


def test_whoever_is_not_signed_in_reaches_the_sign_in(db: None) -> None:
    assert Client(SERVER_NAME="localhost").get("/login/").status_code == 200


def test_machines_ask_for_health_all_the_same(ann: Client) -> None:
    assert ann.get("/healthz").status_code == 200


def test_the_last_one_is_not_removed(cast: Cast) -> None:
    app = add_app(cast["ann"])
    with pytest.raises(Refused, match="add another one first"):
        factors.remove(cast["ann"], app.pk, by=actor(cast["ann"]), now=timezone.now())
    assert factors.has_one(cast["ann"].pk)


def test_without_the_setting_nobody_is_asked(ann: Client, settings: LazySettings) -> None:
    settings.GR_REQUIRE_SECOND_FACTOR = False
    assert ann.get("/inbox/").status_code == 200
