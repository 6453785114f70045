"""The pull-request checklist: ticks only what is true, and lets no name speak for itself."""

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from markdown_it import MarkdownIt

from rollout.github import checklist as made
from rollout.github.markdown import code, link, text
from rollout.github.protection import Finding, Standing

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = made.ChecklistFacts(
    component="dhash",
    environment="production",
    version="1.1.0",
    commit="1f" * 20,
    digest="ab" * 32,
    items=(made.Item(key="deploy_dryrun", label="deploy-dryrun.log", done=True, detail="312 lines"),),
    artifacts=(made.ArtifactFact(name="dhash-1.1.0.zip", sha256="cd" * 32),),
    ci=tuple(
        made.CiFact(platform=name, url=f"https://github.com/example-org/dhash/actions/runs/{number}", ok=True)
        for number, name in enumerate(("ubuntu", "macos", "windows", "premerge-validation"), 7)
    ),
    sign_offs=(
        made.SignOffFact(name="Olaf", role="deploy-operator", at=AT.replace(minute=5)),
        made.SignOffFact(name="Ann", role="approver", at=AT),
    ),
    sign_off_complete=True,
    backup=made.BackupFact(path="backups/dhash_production_20261123_115900.zip", sha256="ef" * 32, verified=True),
    protection=(Finding(state=Standing.OK, sentence="main requires 2 approving reviews"),),
    protection_required=True,
    monitoring="accepted",
    monitoring_detail="60 min, adaptive polling",
    owners=(made.OwnerFact(title="Deploy operator", who="@ops", duty="executes the deploy, monitors T+60"),),
    rollout_url="http://localhost:8000/rollouts/12/",
)
NOTHING = replace(
    GOOD,
    commit="",
    digest="",
    items=(),
    artifacts=(),
    ci=(),
    sign_offs=(),
    sign_off_complete=False,
    backup=None,
    protection=(),
    monitoring="",
)
# Each takes one thing away; the first box of the concise checklist is number 0.
SPOILED = {
    "a failed run": (replace(GOOD, ci=(*GOOD.ci, replace(GOOD.ci[0], ok=False))), 0),
    "no run": (replace(GOOD, ci=()), 0),
    "missing evidence": (replace(GOOD, items=(replace(GOOD.items[0], done=False),)), 0),
    "no artifact": (replace(GOOD, artifacts=()), 0),
    "an unverified backup": (replace(GOOD, backup=replace(GOOD.backup, verified=False)), 1),
    "no backup": (replace(GOOD, backup=None), 1),
    "no operator": (replace(GOOD, sign_offs=GOOD.sign_offs[1:]), 2),
    "an incomplete quorum": (replace(GOOD, sign_off_complete=False), None),
    "a missing protection": (replace(GOOD, protection=(Finding(state=Standing.MISSING, sentence="no"),)), 3),
    "an unread protection": (replace(GOOD, protection=(Finding(state=Standing.ERROR, sentence="403"),)), 3),
    "no protection judged": (replace(GOOD, protection=()), 3),
    "monitoring not accepted": (replace(GOOD, monitoring=""), 4),
}
EVIL = (
    "evil.zip\n- [x] Backups verified\n\n# MERGE_NOW",
    "[x] done](https://evil.example) ![p](https://evil.example/p.png)",
    "<img src=x onerror=alert(1)> <!-- <details>",
    "`` ` ``` @ops #1 **bold** _it_ ~~no~~ $x$ | &lt;",
    "https://evil.example/ www.evil.example me@evil.example :white_check_mark:",
    "\u202egnp.exe\u200b\x00\x1b[31m",
    "```\n- [x] y\n```",
    "$(touch gotcha) `touch gotcha`; touch gotcha' \" --",
)


def boxes(markdown):
    return re.findall(r"^- \[([x ])\] (.*)$", markdown, re.MULTILINE)


def concise(facts):
    return [tick == "x" for tick, _ in boxes(made.pull_request_checklist(facts))[:5]]


def test_a_rollout_that_holds_is_ticked_and_may_be_merged():
    markdown = made.pull_request_checklist(GOOD)
    assert {tick for tick, _ in boxes(markdown)} == {"x"}
    assert f"**{made.MERGE_NOW}**" in markdown and made.open_points(GOOD) == ()


@pytest.mark.parametrize("case", SPOILED)
def test_one_missing_thing_keeps_the_merge_line_away(case):
    facts, _ = SPOILED[case]
    markdown = made.pull_request_checklist(facts)
    assert "MERGE_NOW" not in markdown and "**Not ready to merge:**" in markdown
    assert len(made.open_points(facts)) == 1


@pytest.mark.parametrize("case", SPOILED)
def test_one_missing_thing_clears_its_own_box_and_no_other(case):
    facts, number = SPOILED[case]
    assert concise(facts) == [place != number for place in range(5)]


def test_an_empty_draft_has_no_tick_at_all():
    markdown = made.pull_request_checklist(NOTHING)
    assert boxes(markdown) and {tick for tick, _ in boxes(markdown)} == {" "}
    assert len(made.open_points(NOTHING)) == 7


def test_what_the_policy_lets_pass_unconfigured_does_not_block_but_is_not_ticked():
    unset = (Finding(state=Standing.NOT_CONFIGURED, sentence="GitHub is not configured"),)
    facts = replace(GOOD, protection=unset, protection_required=False)
    assert made.open_points(facts) == () and concise(facts) == [True, True, True, False, True]
    assert made.open_points(replace(facts, protection_required=True))


def test_a_miss_blocks_even_where_protection_is_not_required():
    facts, _ = SPOILED["a missing protection"]
    assert made.open_points(replace(facts, protection_required=False))


def test_sums_links_and_signatures_are_shown():
    markdown = made.pull_request_checklist(GOOD)
    assert f"- `dhash-1.1.0.zip` sha256 `{'cd' * 32}`" in markdown
    assert "ubuntu: [run](<https://github.com/example-org/dhash/actions/runs/7>)" in markdown
    assert markdown.index("approver: Ann, 2026-11-23 12:00 UTC") < markdown.index("deploy-operator: Olaf")
    assert "- Deploy operator @ops — executes the deploy" in markdown


def test_the_commands_name_the_real_backup():
    commands = re.findall(r"```sh\n(.*?)\n```", made.pull_request_checklist(GOOD), re.DOTALL)
    latest = "LATEST_BACKUP=backups/dhash_production_20261123_115900.zip"
    check = 'sha256sum -c "${LATEST_BACKUP}.sha256"'
    undo = './scripts/rollback_dhash.sh --backup "$LATEST_BACKUP" --env production'
    assert [block.split("\n") for block in commands] == [[latest, check], [latest, check, undo]]


def test_the_verification_commands_work_as_they_are_pasted(tmp_path):
    (tmp_path / "backups").mkdir()
    name = "backups/dhash production's_20261123_115900.zip"
    (tmp_path / name).write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / f"{name}.sha256").write_text(f"{empty}  {name}\n")
    facts = replace(GOOD, backup=replace(GOOD.backup, path=name))
    block = re.search(r"```sh\n(.*?)\n```", made.pull_request_checklist(facts), re.DOTALL).group(1)
    done = subprocess.run(["sh", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{name}: OK\n")


def spread(evil):
    """Put `evil` wherever a person, a file or GitHub may have a word."""
    return replace(
        NOTHING,
        component=evil,
        version=evil,
        items=(made.Item(key="k", label=evil, done=False, detail=evil),),
        artifacts=(made.ArtifactFact(name=evil, sha256=evil),),
        ci=(made.CiFact(platform=evil, url=evil, ok=False, sentence=evil),),
        backup=made.BackupFact(path=evil, sha256=evil, verified=False),
        protection=(Finding(state=Standing.MISSING, sentence=evil),),
        monitoring_detail=evil,
        owners=(made.OwnerFact(title=evil, who="nobody", duty=evil),),
    )


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_adds_a_tick_a_link_or_a_line(evil):
    markdown = made.pull_request_checklist(spread(evil))
    harmless = made.pull_request_checklist(spread("name"))
    assert "x" not in {tick for tick, _ in boxes(markdown)}
    assert len(markdown.splitlines()) == len(harmless.splitlines())
    assert kinds(markdown) == kinds(harmless)


def kinds(markdown):
    """Return what a Markdown reader makes of the text, without the text itself."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    return [[part.type for part in token.children or () if part.type != "text"] or token.type for token in tokens]


@pytest.mark.parametrize("evil", EVIL)
def test_plain_text_is_read_back_as_itself(evil):
    inline = MarkdownIt("commonmark").parseInline(text(evil))[0].children
    read = "".join(part.content for part in inline).replace("\u2060", "")
    assert {part.type for part in inline} <= {"text", "text_special"}
    assert read == " ".join("".join(ch if ch.isprintable() else " " for ch in evil).split())


@pytest.mark.parametrize("evil", EVIL)
def test_a_code_span_is_one_code_span(evil):
    assert [part.type for part in MarkdownIt("commonmark").parseInline(code(evil))[0].children] == ["code_inline"]


def test_a_mention_lives_only_where_owners_stand():
    assert text("@ops", mention=True) == "@ops" and text("@ops") == "@\u2060ops"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a/ b", "https://a/>)", "https://u:p@a/", "http://a/`"])
def test_a_strange_url_is_shown_but_no_link(url):
    assert link("run", url) == f"run {code(url)}"


def test_a_missing_url_is_said():
    assert link("run", "") == "run (no link)"
