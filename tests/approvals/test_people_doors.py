"""There is one place that writes who is what: no other module of the product touches groups, accounts or passwords."""

import ast
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, execute_from_command_line
from django.db import connections

ROOT = Path(__file__).resolve().parents[2]
# module -> what it is: the verb, the first admins, the demo (refused where there is anybody), a person's own password
MAY = {
    "approvals/roles.py",
    "approvals/bootstrap.py",
    "approvals/changes.py",
    "approvals/handover.py",
    "rollout/management/commands/demo_world.py",
}
OWN_PASSWORD = {"approvals/account_views.py", "approvals/forms.py"}
WRITES = {"create_user", "create_superuser", "set_password", "set_unusable_password", "make_password"}
COLUMNS = {"is_active", "is_staff", "is_superuser"}
SETS = {"add", "set", "remove", "clear"}


def writers() -> set[str]:
    """Return the modules that could change what an account is, or may do."""
    found = set()
    for room in ("rollout", "approvals", "monitoring"):
        for path in (ROOT / room).rglob("*.py"):
            if any(map(writes, ast.walk(ast.parse(path.read_text())))):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def writes(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    on = node.func.value if isinstance(node.func, ast.Attribute) else None
    groups = isinstance(on, ast.Attribute) and on.attr in ("groups", "user_set", "user_permissions")
    columns = name in ("update", "create") and COLUMNS & {one.arg for one in node.keywords}
    return name in WRITES or bool(columns) or (groups and name in SETS)


def test_only_these_modules_write_accounts_and_memberships() -> None:
    assert writers() - OWN_PASSWORD == MAY


def test_no_page_and_no_api_reaches_the_demo() -> None:
    sources = [path for room in ("rollout/views", "rollout/api") for path in (ROOT / room).rglob("*.py")]
    sources += [*(ROOT / "approvals").rglob("*.py"), *(ROOT / "rollout").glob("urls*.py")]
    assert sources and [path.name for path in sources if "demo_world" in path.read_text()] == []


@pytest.mark.django_db
def test_the_demo_makes_nobody_where_somebody_is(tmp_path: Path) -> None:
    User.objects.create_user("somebody")
    with pytest.raises(CommandError, match="there are people here already"):
        call_command("demo_world", dir=tmp_path, base_url="http://localhost")
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("argv", [["changepassword", "ann"], ["createsuperuser"], ["createsuperuser", "--noinput"]])
def test_the_commands_of_django_that_would_get_past_two_refuse(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["manage.py", *argv])
    # a command that ends closes its connections, and this test's with them
    monkeypatch.setattr(connections, "close_all", lambda: None)
    with pytest.raises(SystemExit):
        execute_from_command_line(["manage.py", *argv])
    assert "confirms" in capsys.readouterr().err and not User.objects.exists()
