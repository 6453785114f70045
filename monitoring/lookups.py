"""Which filters of an admin list an address may name, pure: those that the list shows, because any other is a question.

Django takes every column of a table, by every comparison: a hash that nobody may see could be asked letter by letter.
"""

from collections.abc import Iterable

# what the lists' own links add to a column's name
OF_FILTER = frozenset({"", "__exact", "__isnull", "__id__exact"})
OF_DATE = frozenset({"__year", "__month", "__day", "__gte", "__lt", "__lte"})


def is_allowed(lookup: str, filters: Iterable[object], date: str | None) -> bool:
    """Say whether an address may name this lookup, where a list shows these filters and this hierarchy of dates."""
    shown = {f"{name}{how}" for name in filters if isinstance(name, str) for how in OF_FILTER}
    return lookup in shown or (date is not None and lookup in {f"{date}{how}" for how in OF_DATE})
