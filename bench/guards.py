"""Remove each check of the files that guard consent, and see that a test fails: all of the guards, most other mutants.

    python bench/guards.py                                guards and general mutants of every file (GUARDED below)
    python bench/guards.py --guards approvals/ledger.py   only the guards, of one file: every one has to fail a test
    python bench/guards.py --guards --sample 20 approvals/rules.py   a sample (CI)

The tests run once, with the lines that each one touches noted; then every mutant is tried in a fork of that process, in
which the code object of one function is another, against the tests that touch its line, the quickest first.
"""

import argparse
import ast
import copy
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parents[1]
PURE = ("rules", "rules_deputies", "rules_start", "seats")
LEDGER = ("ledger", "ledger_close", "delegation", "proven")
# file -> the tests of approvals and of rollout that are tried against it
GUARDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "approvals/rules.py": (PURE, ()),
    "approvals/voices.py": (PURE, ()),
    "approvals/solver.py": (PURE, ()),
    "approvals/proof.py": (LEDGER, ()),
    "approvals/ledger.py": (LEDGER, ()),
    "approvals/moves.py": (LEDGER, ()),
    "approvals/proven.py": (("proven",), ("edited_rows", "opened")),
    "approvals/stepup.py": (("stepup", "signins"), ()),
    "rollout/borne.py": (
        (),
        ("borne", "as_told", "edited_rows", "opened", "standing", "taken", "told", "people_can"),
    ),
    "rollout/opened.py": ((), ("borne", "opened", "taken")),
    "rollout/as_told.py": ((), ("as_told", "edited_rows", "standing", "people_can", "out_of_sight")),
    "rollout/attempted.py": ((), ("attempted", "as_told", "edited_rows", "opened")),
    "rollout/journal.py": ((), ("attempted",)),
    "rollout/standing.py": (
        (),
        ("standing", "attempted", "borne", "as_told", "edited_rows", "opened", "taken", "people_can", "abort_told"),
    ),
    "rollout/barring.py": ((), ("barring", "freezing")),
    "rollout/beginning.py": ((), ("standing", "as_told", "edited_rows", "opened", "actions_start", "engine", "glass")),
    "rollout/contradicted.py": ((), ("as_told", "edited_rows", "borne", "opened")),
    "rollout/told.py": ((), ("told", "opened", "second_admin", "loading")),
    "rollout/actions.py": ((), ("actions", "actions_refused", "actions_start", "freezing", "people_can", "abort_told")),
    "rollout/removable.py": ((), ("removable", "housekeeping")),
}
LIMIT_S = 120
BROKEN = 9
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
CHECKS = ("require", "check", "in_person", "_check", "_in_person")


@dataclass(frozen=True)
class Mutant:
    """One change: where, of what kind, and the module's tree with it."""

    file: str
    line: int
    last: int
    guard: bool
    what: str
    tree: ast.Module = field(compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


def mutants_of(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    text = (ROOT / file).read_text()
    tree = ast.parse(text)
    for number, node in enumerate(ast.walk(tree)):
        for guard, what, change in changes(node):
            made = copy.deepcopy(tree)
            twin: Any = next(one for place, one in enumerate(ast.walk(made)) if place == number)
            change(twin)
            said = " ".join((ast.get_source_segment(text, node) or type(node).__name__).split())[:70]
            line = getattr(node, "lineno", 0)
            yield Mutant(file, line, getattr(node, "end_lineno", line), guard, f"{what}: {said}", made)


def changes(node: ast.AST) -> Iterator[tuple[bool, str, Any]]:
    """Yield what can be changed in a node: whether it removes a guard, in words, and the change."""
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise | ast.Return | ast.Continue):
        yield True, "if removed", lambda twin: setattr(twin, "test", ast.Constant(False))
    if isinstance(node, ast.BoolOp):
        for place in range(len(node.values)):
            nothing = ast.Constant(isinstance(node.op, ast.And))
            change = lambda twin, place=place, none=nothing: twin.values.__setitem__(place, none)  # noqa: E731
            yield True, f"operand {place + 1} removed", change
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and name_of(node.value).startswith(CHECKS):
        yield True, "call removed", lambda twin: setattr(twin, "value", ast.Constant(None))
    if isinstance(node, ast.Call) and name_of(node) in ("filter", "exclude"):
        for place in range(len(node.keywords)):
            yield True, f"condition {place + 1} removed", lambda twin, place=place: twin.keywords.pop(place)
    yield from general(node)


def general(node: ast.AST) -> Iterator[tuple[bool, str, Any]]:
    """Yield the mutants that are no guards: flipped comparisons, other constants, lost negations."""
    if isinstance(node, ast.Compare):
        for place, one in enumerate(node.ops):
            if type(one) in SWAPS:
                other = SWAPS[type(one)]
                yield False, "compared otherwise", lambda twin, p=place, o=other: twin.ops.__setitem__(p, o())
    if isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in SWAPS:
        swapped = SWAPS[type(node.op)]
        yield False, "operator", lambda twin, o=swapped: setattr(twin, "op", o())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield False, "not lost", lambda twin: setattr(twin, "operand", ast.UnaryOp(ast.Not(), twin.operand))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
        other = not node.value if isinstance(node.value, bool) else node.value + 1
        yield False, "constant", lambda twin, o=other: setattr(twin, "value", o)
    if isinstance(node, ast.IfExp):
        yield False, "choice", lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))


def name_of(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


class Session:
    """The pytest plugin: runs everything once, then each mutant in a fork."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.survived: list[Mutant] = []
        self.untested: list[Mutant] = []
        self.lines: dict[str, set[tuple[str, int]]] = {}
        self.took: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run it all."""
        if not self.first(session.items):
            raise SystemExit("a test fails without any mutant")
        begun = time.monotonic()
        for number, mutant in enumerate(self.mutants, start=1):
            self.judge(mutant, session.items)
            if number % 20 == 0:
                left = len(self.survived) + len(self.untested)
                say(f"{number}/{len(self.mutants)} tried, {left} survive, {time.monotonic() - begun:.0f} s")
        return True

    def first(self, items: list[pytest.Item]) -> bool:
        """Run every test once, and note what it touches."""
        places = {str(ROOT / file): file for file in GUARDED}
        good = True
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            touched: set[tuple[str, int]] = set()

            def trace(frame: Any, event: str, _: Any, touched: set[tuple[str, int]] = touched) -> Any:
                file = places.get(frame.f_code.co_filename)
                if file is None:
                    return None
                touched.add((file, frame.f_lineno))
                return trace

            begun = time.monotonic()
            sys.settrace(trace)
            try:
                if failed(item, following):
                    good = False
                    say(f"fails without any mutant: {item.nodeid}")
            finally:
                sys.settrace(None)
            self.lines[item.nodeid], self.took[item.nodeid] = touched, time.monotonic() - begun
        return good

    def judge(self, mutant: Mutant, items: list[pytest.Item]) -> None:
        """Try a mutant against the tests that touch its lines."""
        span = {(mutant.file, line) for line in range(mutant.line, mutant.last + 1)}
        constant = not function_at(mutant)
        chosen = [item for item in items if constant or self.lines[item.nodeid] & span]
        chosen.sort(key=lambda item: self.took[item.nodeid])
        if not chosen:
            self.untested.append(mutant)
            say(f"UNTESTED {mutant}")
        elif not self.kills(mutant, chosen):
            self.survived.append(mutant)
            say(f"SURVIVED {mutant}")

    def kills(self, mutant: Mutant, chosen: list[pytest.Item]) -> bool:
        """Say whether one of these tests fails with the mutant, in a process of its own."""
        child = os.fork()
        if child:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code == BROKEN:
                raise SystemExit(f"could not be tried: {mutant}")
            return code != 0
        signal.alarm(LIMIT_S)  # a mutant that never ends is seen as well
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        code = BROKEN
        try:
            apply(mutant)
            code = 1  # also where a test ends the whole session
            code = int(any(failed(item, item) for item in chosen))
        finally:
            os._exit(code)


def failed(item: pytest.Item, following: pytest.Item) -> bool:
    """Run a test; say whether it failed."""
    return any(report.failed for report in runtestprotocol(item, nextitem=following, log=False))


def function_at(mutant: Mutant) -> str:
    """Return the qualified name of the function that a mutant stands in; "" outside of one."""
    found = ""
    for node in ast.walk(mutant.tree):
        inner = node.body if isinstance(node, ast.ClassDef) else [node] if isinstance(node, ast.FunctionDef) else []
        for one in inner:
            if isinstance(one, ast.FunctionDef) and one.lineno <= mutant.line <= (one.end_lineno or 0):
                name = f"{node.name}.{one.name}" if isinstance(node, ast.ClassDef) else one.name
                found = name if not found or "." in name else found
    return found


def apply(mutant: Mutant) -> None:
    """Give the function that is imported everywhere the mutant's code; outside of functions, set the name again."""
    name = mutant.file.removesuffix(".py").replace("/", ".")
    module, tree = sys.modules[name], ast.fix_missing_locations(mutant.tree)
    wanted = function_at(mutant)
    code = compile(tree, str(ROOT / mutant.file), "exec")
    if not wanted:
        reset(module, tree, mutant)
        return
    owner: Any = module
    for part in wanted.split("."):
        owner = owner.__dict__[part]
    function = owner.fget if isinstance(owner, property) else owner
    assert isinstance(function, FunctionType), wanted
    function.__code__ = code_of(code, wanted)


def code_of(code: CodeType, wanted: str) -> CodeType:
    """Return the code object of a function by its qualified name."""
    for one in code.co_consts:
        if isinstance(one, CodeType):
            if one.co_qualname == wanted:
                return one
            if wanted.startswith(f"{one.co_qualname}."):
                return code_of(one, wanted)
    raise LookupError(wanted)


def reset(module: Any, tree: ast.Module, mutant: Mutant) -> None:
    """Set a name of the module's level again, wherever it was imported."""
    node = next(one for one in tree.body if one.lineno <= mutant.line <= (one.end_lineno or 0))
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        raise LookupError(f"{mutant} cannot be tried")
    key = node.targets[0].id
    value = eval(compile(ast.Expression(node.value), "mutant", "eval"), module.__dict__)
    old = module.__dict__[key]
    for one in list(sys.modules.values()):
        if getattr(one, "__dict__", {}).get(key) is old:
            setattr(one, key, value)


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def in_reach(mutant: Mutant) -> bool:
    """Say whether a mutant can be tried: in a function, or a constant of the module; not a default or an annotation."""
    if function_at(mutant):
        return True
    nodes = [one for one in mutant.tree.body if one.lineno <= mutant.line <= (one.end_lineno or 0)]
    return any(isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) for one in nodes)


def chosen_mutants(options: argparse.Namespace) -> list[Mutant]:
    """Return what to try."""
    found = [one for file in options.files or GUARDED for one in mutants_of(file) if in_reach(one)]
    if options.guards:
        found = [one for one in found if one.guard]
    if options.sample:
        found = random.Random(options.seed).sample(found, min(options.sample, len(found)))
    return found


def main() -> int:
    """Try the mutants, print the figures, return 0 when no guard survives and 95 % of the others are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guards", action="store_true", help="only the guards")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of them, by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("files", nargs="*", help=f"default: {' '.join(GUARDED)}")
    options = parser.parse_args()
    tests: dict[str, None] = {}
    for file in options.files or GUARDED:
        for room, names in zip(("approvals", "rollout"), GUARDED[file], strict=True):
            tests |= {f"tests/{room}/test_{name}.py": None for name in names}
    os.chdir(ROOT)
    session = Session(chosen_mutants(options))
    arguments = ["-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    if pytest.main(arguments, plugins=[session]) not in (0, 5):
        return 1
    return report(session)


def report(session: Session) -> int:
    """Print what was tried and what survived; return the exit code."""
    alive = [*session.survived, *session.untested]
    good = True
    for guard, what, least in ((True, "guards", 1.0), (False, "general mutants", 0.95)):
        tried = [one for one in session.mutants if one.guard is guard]
        left = [one for one in alive if one.guard is guard]
        if tried:
            share = 1 - len(left) / len(tried)
            good &= share >= least
            say(f"{what}: {len(tried) - len(left)} of {len(tried)} killed ({share:.1%}, to reach {least:.0%})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
