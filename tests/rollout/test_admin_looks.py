"""The admin site looks like the rest of the product, under the same policy."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from monitoring.models import Watch
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db
CSS = Path(__file__).resolve().parents[2] / "rollout" / "static" / "css"


@pytest.mark.parametrize("route", ["admin:index", "admin:rollout_freeze_add", "admin:monitoring_watch_changelist"])
def test_a_page_of_the_admin_site_is_in_the_house(cast: dict[str, User], route: str) -> None:
    page = browser(cast["ada"]).get(reverse(route)).content.decode()
    sheets = re.findall(r'rel="stylesheet" href="[^"]*/css/(\w+)\.[^"]*css"', page)
    assert sheets[-2:] == ["house", "admin"] and "dark_mode" not in sheets
    assert "js/theme" in page and "admin/js/theme" not in page and "data-theme-switch" in page
    assert " style=" not in page and "<style" not in page and not re.search(r"<script(?! src| id=)", page)


def test_it_leads_back_to_the_pages_and_out_by_our_own_door(cast: dict[str, User]) -> None:
    page = browser(cast["ada"]).get(reverse("admin:index")).content.decode()
    assert f'href="{reverse("dashboard")}"' in page and f'action="{reverse("logout")}"' in page
    assert "/admin/logout/" not in page and "/admin/password_change/" not in page


def test_several_watches_are_watches() -> None:
    assert Watch._meta.verbose_name_plural == "watches"


def test_pages_and_admin_site_share_one_set_of_colours() -> None:
    texts = {name: (CSS / f"{name}.css").read_text() for name in ("house", "app", "admin")}
    assert {name: "--accent: light-dark" in text for name, text in texts.items()} == {
        "house": True,
        "app": False,
        "admin": False,
    }
    assert '@import url("house.css")' in texts["app"]
