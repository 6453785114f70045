"""`manage.py simulate`: output and exit codes."""

import io
import json

import pytest
from django.core.management import CommandError, call_command


def simulate(*arguments: str) -> str:
    out = io.StringIO()
    call_command("simulate", *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_every_poll_and_then_what_would_have_happened():
    lines = simulate("--fault", "queue=1500@20m").splitlines()

    assert lines[0].startswith("  0:00.0  undecided")
    assert lines[-1].startswith("It would roll back 21 min after the deploy")


def test_json_is_the_whole_report():
    report = json.loads(simulate("--json", "--profile", "demo", "--fault", "down@10s"))

    assert (report["profile"], report["action"], report["gate"]) == ("demo", "rollback", "health")


def test_faults_add_up():
    report = json.loads(simulate("--json", "--fault", "down=45s@8m", "--fault", "queue=1500@20m"))

    assert report["faults"] == ["down=45s@8m", "queue=1500@20m"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fault", "down"), "expected a moment after @"),
        (("--profile", "prod"), "one of the profiles canary, demo, production, staging"),
        (("--config", "no-such-file.json"), "expected a readable gates file"),
    ],
)
def test_wrong_usage_is_exit_2_with_what_was_expected(arguments, says):
    with pytest.raises(CommandError) as caught:
        simulate(*arguments)

    assert caught.value.returncode == 2
    assert says in str(caught.value)


def test_a_file_that_is_no_json_is_wrong_usage(tmp_path):
    (tmp_path / "gates.json").write_text("{")

    with pytest.raises(CommandError) as caught:
        simulate("--config", str(tmp_path / "gates.json"))

    assert caught.value.returncode == 2
