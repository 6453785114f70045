"""What a newcomer reads first must be true: settings, links, file names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples" / "deploy").glob("*.md")]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCUMENTED = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)


def read_settings():
    """Return the names that settings.py asks the environment for."""
    text = (ROOT / "rollout" / "settings.py").read_text(encoding="utf-8")
    asks = r"""\b(?:env(?:\.\w+)?|seconds|address|networks|needed|database)\(\s*["']([A-Z][A-Z0-9_]+)["']"""
    return set(re.findall(asks, text))


def test_every_setting_is_documented_in_env_example():
    assert read_settings() <= set(DOCUMENTED)


def test_no_setting_is_documented_twice():
    assert sorted(set(DOCUMENTED)) == sorted(DOCUMENTED)


def test_every_documented_setting_is_read_somewhere():
    read_elsewhere = {"GR_PORT", "GR_CHROMIUM", "GR_TEST_DATABASE_URL", "GR_TEST_REDIS_URL", "GR_TEST_REQUIRE"}
    assert set(DOCUMENTED) - read_elsewhere <= read_settings()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_python_files_that_are_named_exist(name):
    named = re.findall(
        r"`((?:rollout|approvals|monitoring|tests)/[\w/]+\.py)`", (ROOT / name).read_text(encoding="utf-8")
    )
    assert [path for path in named if not (ROOT / path).exists()] == []
