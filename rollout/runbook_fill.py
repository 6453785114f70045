"""Fills the {{placeholders}} of a runbook and numbers its task-list items; pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
TASK = re.compile(r"(?P<indent> {0,8})[-*+] \[[ xX]\] +(?P<text>\S.*)")
PLACEHOLDER = re.compile(r"\{\{ *([a-z][a-z0-9_]*) *\}\}(/[A-Za-z0-9_/-]*[A-Za-z0-9_/-])?")
CODE = re.compile(r"(`+)(.+?)\1(?!`)")
SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&!])")
TITLE = re.compile(r" {0,3}# ")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of Markdown (`item` 0), or one task with its number in the runbook, from 1."""

    text: str
    item: int = 0
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A runbook with values: its title, its parts in order, and the placeholders that nothing fills."""

    title: str
    parts: tuple[Part, ...]
    unfilled: tuple[str, ...]

    @property
    def items(self) -> dict[int, str]:
        """Return the tasks by number."""
        return {part.item: part.text for part in self.parts if part.item}


def fill(text: str, values: Mapping[str, str]) -> Filled:
    """Return the runbook with values put in; what has no value stays visible as ‹name›."""
    title, parts = "", list(_parts(text))
    if parts and not parts[0].item and TITLE.match(parts[0].text):
        head, _, rest = parts[0].text.partition("\n")
        title = _plain(head.lstrip(" #"), values)
        parts[0] = Part(text=rest.strip("\n"))
    named = {match[1] for match in PLACEHOLDER.finditer(text)}
    return Filled(
        title=title,
        parts=tuple(
            Part(text=_markdown(part.text, values), item=part.item, depth=part.depth)
            for part in parts
            if part.text.strip()
        ),
        unfilled=tuple(sorted(name for name in named if not values.get(name))),
    )


def _parts(text: str) -> Iterator[Part]:
    """Cut the text at its tasks; an indented line after a task belongs to it, and nothing inside a fence is a task."""
    stretch: list[str] = []
    number, fence = 0, ""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = _fence_after(line, fence)
        task = None if fence else TASK.fullmatch(line)
        at += 1
        if task is None:
            stretch.append(line)
            continue
        yield Part(text="\n".join(stretch))
        stretch, number = [], number + 1
        said = [task["text"]]
        while at < len(lines) and _continues(lines[at]):
            said.append(lines[at].strip())
            at += 1
        yield Part(text=" ".join(said), item=number, depth=min(len(task["indent"]) // 2, 3))
    yield Part(text="\n".join(stretch))


def _continues(line: str) -> bool:
    return line.startswith("  ") and bool(line.strip()) and not TASK.fullmatch(line) and not FENCE.match(line.lstrip())


def _fence_after(line: str, fence: str) -> str:
    """Return the fence that is open after a line, or nothing."""
    mark = FENCE.match(line)
    if not fence:
        return mark[1] if mark else ""
    closes = (
        mark is not None and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not line.strip().strip(fence[0])
    )
    return "" if closes else fence


def _markdown(text: str, values: Mapping[str, str]) -> str:
    """Put values in; outside of code a value can bring no Markdown of its own, and a URL becomes a link."""
    filled, fence = [], ""
    for line in text.splitlines():
        inside = bool(fence)
        fence = _fence_after(line, fence)
        filled.append(_plain(line, values) if inside or fence else _line(line, values))
    return "\n".join(filled)


def _line(line: str, values: Mapping[str, str]) -> str:
    out, last = [], 0
    for code in CODE.finditer(line):
        out += [_prose(line[last : code.start()], values), _plain(code[0], values)]
        last = code.end()
    return "".join([*out, _prose(line[last:], values)])


def _prose(text: str, values: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        value, tail = _one_line(values.get(match[1], "")), match[2] or ""
        if value.startswith(("http://", "https://")) and not re.search(r"[\s<>]", value):
            return f"<{value}{tail}>" if tail else f"<{value}>"
        return SPECIAL.sub(r"\\\1", value) + tail if value else f"‹{match[1]}›{tail}"

    return PLACEHOLDER.sub(put, text)


def _plain(text: str, values: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        value = _one_line(values.get(match[1], "")).replace("`", "'")
        return (value or f"‹{match[1]}›") + (match[2] or "")

    return PLACEHOLDER.sub(put, text)


def _one_line(value: str) -> str:
    return " ".join(str(value).split())
