"""Reads how a target is changed, the part of component.toml that acts: commands, driver, backup set; pure."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from rollout.config_reader import ComponentError, Table
from rollout.target import COMMANDS, DRIVERS, REQUIRED_COMMANDS, TargetSpec

PLACEHOLDERS = (
    "root",
    "release_dir",
    "current",
    "shared",
    "host",
    "port",
    "base_url",
    "environment",
    "component",
    "release",
)


def read_target(
    entry: Table,
    component: str,
    name: str,
    commands: dict[str, tuple[str, ...]],
    values: dict[str, str],
    base: Path,
) -> TargetSpec:
    """Return how the component is changed in the environment that the table declares; raise ComponentError."""
    health = entry.table("health")
    backup = entry.table("backup")
    target = TargetSpec(
        component=component,
        environment=name,
        driver=entry.text("driver", choices=DRIVERS),
        root=place(entry.text("root"), base),
        host=entry.text("host", default="127.0.0.1"),
        port=entry.whole("port", low=1, high=65535),
        commands=commands,
        placeholders=values,
        health_path=health.text("path", default="/health"),
        health_timeout_s=health.whole("timeout_s", default=10, low=1, high=300),
        directories=_inside(backup, "directories"),
        sqlite=_inside(backup, "sqlite"),
        postgresql=backup.texts("postgresql", default=()),
        database=entry.text("database", default="restore", choices=("restore", "keep")),
        migrate=entry.text("migrate", default="before", choices=("before", "after")),
        minimum_free_bytes=entry.whole("minimum_free_mib", default=64) * 1024**2,
    )
    if not Path(target.root).is_absolute():
        raise ComponentError(f"environments.{name}.root", 'an absolute path, or one that begins with "./"', target.root)
    health.close()
    backup.close()
    return target


def _inside(table: Table, key: str) -> tuple[str, ...]:
    paths = table.texts(key, default=())
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ComponentError(f"{table.name}.{key}", "a path inside the environment's root", path)
    return paths


def place(value: str, base: Path) -> str:
    """Return a value as it stands, or, when it begins with "./", as a path beside component.toml."""
    return str(base / value[2:]) if value.startswith("./") else value


def read_vars(table: Table, base: Path) -> dict[str, str]:
    """Return the extra placeholders; raise ComponentError for one that would hide one of ours."""
    for name in table.data:
        if name in PLACEHOLDERS:
            raise ComponentError(f"vars.{name}", f"another name: {', '.join(PLACEHOLDERS)} are set by Guarded Rollout")
    return {name: place(table.text(name), base) for name in table.data}


def read_commands(table: Table, values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the declared argvs by name; raise ComponentError."""
    commands = {}
    for name in COMMANDS:
        if name in REQUIRED_COMMANDS or name in table.data:
            argv = table.texts(name, at_least=1)
            for argument in argv:
                _check_argument(f"commands.{name}", argument, values)
            commands[name] = argv
    table.close(known=", ".join(COMMANDS))
    return commands


def _check_argument(key: str, argument: str, values: Mapping[str, str]) -> None:
    """Allow a placeholder only as a whole argument, so that no value can change how the rest is read."""
    if "{" not in argument and "}" not in argument:
        return
    known = sorted({*PLACEHOLDERS, *values})
    if not (argument.startswith("{") and argument.endswith("}") and argument[1:-1] in known):
        raise ComponentError(key, f"a placeholder as a whole argument, one of {', '.join(known)}", argument)
