"""The house of DESIGN.md section 1: who may import whom, who may point at whom, and who alone may use what."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.db import migrations
from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver

from rollout import access

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("rollout", "approvals", "monitoring")
BELOW = {"rollout": ("approvals", "monitoring"), "approvals": ("monitoring",), "monitoring": ()}
PURE = (
    "rollout/states.py",
    "rollout/differing.py",
    "rollout/access_admin.py",
    "monitoring/lookups.py",
    "rollout/component.py",
    "rollout/config_reader.py",
    "rollout/target.py",
    "rollout/plan.py",
    "rollout/intent.py",
    "rollout/runner.py",
    "rollout/detached.py",
    "rollout/steps/",
    "rollout/drivers/",
    "rollout/archive/",
    "approvals/hindsight.py",
    "approvals/policy.py",
    "approvals/rules.py",
    "approvals/seats.py",
    "approvals/solver.py",
    "approvals/voices.py",
    "monitoring/storage.py",
    "monitoring/canonical.py",
    "monitoring/der.py",
    "monitoring/verify.py",
    "monitoring/http.py",
    "monitoring/gates.py",
    "monitoring/verdict.py",
    "monitoring/cadence.py",
    "monitoring/routes.py",
    "monitoring/unseen.py",
)
# probes and channels never touch a model either; some of them ask Django for settings or e-mail
MODELLESS = (*PURE, "monitoring/probes/", "monitoring/channels/")
ALONE = {
    "django_q": ("rollout/broker.py", "rollout/nudge.py", "rollout/worker.py"),
    "subprocess": (
        "rollout/runner.py",
        "rollout/detached.py",
        "rollout/drivers/",
        "rollout/archive/dump.py",
        "monitoring/probes/command.py",
        "monitoring/in_release.py",
    ),
    "requests": ("monitoring/http.py", "monitoring/deadline.py"),
    "socket": (
        "monitoring/http.py",
        "monitoring/deadline.py",
        "monitoring/probes/",
        "monitoring/channels/",
        "rollout/drivers/",
    ),
}
LONGEST_FILE, LONGEST_FUNCTION = 250, 40
# what a stranger copies away is one file, whatever it has to hold
ALONE_IN_A_FILE = {"monitoring/verify.py": 450}


def sources() -> list[str]:
    """Return the product's modules, as paths from the repository's root."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in files if "migrations" not in path.parts]


@cache
def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text())


@cache
def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@cache
def imported(source: str) -> frozenset[str]:
    """Return the full names that a module imports: modules, and names taken out of modules."""
    package = source.removesuffix(".py").split("/")[:-1]
    found: set[str] = set()
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def is_in(source: str, places: tuple[str, ...]) -> bool:
    return any(source == place or (place.endswith("/") and source.startswith(place)) for place in places)


def uses(source: str, *modules: str) -> list[str]:
    """Return which of the modules (or what stands in them) a source imports."""
    return sorted(
        name for name in imported(source) for module in modules if name == module or name.startswith(f"{module}.")
    )


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_from_rollout_to_approvals_to_monitoring_only(room: str) -> None:
    above = [other for other in ROOMS if other != room and other not in BELOW[room]]
    wrong = {source: uses(source, *above) for source in sources() if source.startswith(f"{room}/") and above}
    assert {source: names for source, names in wrong.items() if names} == {}


def test_no_module_imports_another_in_a_circle() -> None:
    graph = {name_of(source): modules_of(source) for source in sources()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join((*path, name))}"
        if name in done or name not in graph:
            return
        for following in sorted(graph[name]):
            visit(following, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


def name_of(source: str) -> str:
    return source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules_of(source: str) -> set[str]:
    """Return the modules of ours that a source imports, but for the packages that it stands in."""
    own = name_of(source)
    found = {name for name in imported(source) if name.split(".")[0] in ROOMS and is_module(name)}
    deepest = {name for name in found if not any(other.startswith(f"{name}.") for other in found)}
    return {name for name in deepest if name != own and not own.startswith(f"{name}.")}


def test_no_import_stands_inside_a_function() -> None:
    inside = {
        source: node.lineno
        for source in sources()
        for function in functions(source)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert inside == {}


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions and methods of a module."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("module", sorted(ALONE))
def test_a_dangerous_library_is_used_only_where_it_belongs(module: str) -> None:
    wrong = {source: uses(source, module) for source in sources() if not is_in(source, ALONE[module])}
    assert {source: names for source, names in wrong.items() if names} == {}


def test_models_import_no_verbs() -> None:
    verbs = ("rollout.transitions", "rollout.actions", "rollout.engine", "rollout.tasks", "rollout.views")
    models = [
        source
        for source in sources()
        if is_in(source, ("rollout/models/", "approvals/models.py", "monitoring/models/"))
    ]
    assert {source: uses(source, *verbs) for source in models if uses(source, *verbs)} == {}


def test_pure_modules_steps_drivers_probes_and_channels_import_no_models() -> None:
    models = ("rollout.models", "approvals.models", "monitoring.models", "django.db", "django.contrib")
    wrong = {source: uses(source, *models) for source in sources() if is_in(source, MODELLESS)}
    assert {source: names for source, names in wrong.items() if names} == {}


def test_no_view_and_no_api_calls_engine_steps_or_drivers() -> None:
    doors = ("rollout/views/", "rollout/api/", "approvals/views.py", "monitoring/views.py")
    doors += ("approvals/views_people.py", "approvals/views_changes.py")
    forbidden = ("rollout.engine", "rollout.steps", "rollout.drivers", "rollout.endings", "rollout.runner")
    wrong = {source: uses(source, *forbidden) for source in sources() if is_in(source, doors)}
    assert {source: names for source, names in wrong.items() if names} == {}


@pytest.mark.parametrize("app", ["approvals", "monitoring"])
def test_foreign_keys_point_down_only(app: str) -> None:
    fields = [
        (model._meta.label, field.name, field.related_model._meta.app_label)
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and field.related_model is not None
    ]
    above = {other for other in ROOMS if other != app and other not in BELOW[app]}
    assert [field for field in fields if field[2] in above] == []


@pytest.mark.parametrize("app", ROOMS)
def test_migrations_depend_on_lower_rooms_only(app: str) -> None:
    allowed = {app, *BELOW[app], "auth", "contenttypes", "__setting__"}
    found = {name for migration in migrations_of(app) for name, _ in migration.dependencies}
    assert found <= allowed


def migrations_of(app: str) -> Iterator[type[migrations.Migration]]:
    for path in sorted((ROOT / app / "migrations").glob("0*.py")):
        yield importlib.import_module(f"{app}.migrations.{path.stem}").Migration


@pytest.mark.slow
def test_pure_modules_import_without_django_being_set_up() -> None:
    names = [name_of(source) for source in sources() if is_in(source, PURE)]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
    code += "from django.conf import settings\nassert not settings.configured, 'settings were read'\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def routes(patterns: list[URLPattern | URLResolver], space: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = ":".join(part for part in (space, pattern.namespace or "") if part)
            yield from routes(pattern.url_patterns, inner)
        else:
            name = ResolverMatch(pattern.callback, (), {}, pattern.name).view_name  # also of one without a name
            yield f"{space}:{name}" if space else name


def test_every_route_has_a_row_in_the_access_table() -> None:
    names = set(routes(get_resolver().url_patterns))
    assert {name for name in names if access.row_of(name) is None} == set()


def test_every_row_of_the_access_table_is_a_route() -> None:
    assert set(access.ROUTES) - set(routes(get_resolver().url_patterns)) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_with_an_underscore_leaves_its_module(room: str) -> None:
    found = {
        (source, name)
        for source in sources()
        for name in imported(source)
        if source.startswith(f"{room}/") and name.rpartition(".")[2].startswith("_") and not is_module(name)
    }
    assert found == set()


def test_every_file_is_short_enough_to_be_read() -> None:
    lengths = {source: len((ROOT / source).read_text().splitlines()) for source in sources()}
    too_long = {name: length for name, length in lengths.items() if length > ALONE_IN_A_FILE.get(name, LONGEST_FILE)}
    assert too_long == {}


def test_every_function_is_short_enough_to_be_read() -> None:
    lengths = {(source, node.name): length_of(node) for source in sources() for node in functions(source)}
    assert {where: length for where, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body; signature and docstring are what spares reading it."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def test_every_module_begins_with_a_docstring() -> None:
    assert [source for source in sources() if tree(source).body and not ast.get_docstring(tree(source))] == []
