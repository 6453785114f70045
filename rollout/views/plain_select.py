"""A select that is drawn in one go: Django renders a template for every option, a quarter of a page's time."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class PlainSelect(forms.Select):
    """One choice of many; choices may stand in groups."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the whole element, escaped."""
        own = flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
        return format_html("<select{}>{}</select>", own, _options(self.choices, str(value or "")))


def _options(choices: Iterable[Any], chosen: str) -> SafeString:
    return format_html_join("", "{}", ((_option(first, second, chosen),) for first, second in choices))


def _option(first: Any, second: Any, chosen: str) -> SafeString:
    if not isinstance(second, str):
        return format_html('<optgroup label="{}">{}</optgroup>', first, _options(second, chosen))
    if str(first) == chosen:
        return format_html('<option value="{}" selected>{}</option>', first, second)
    return format_html('<option value="{}">{}</option>', first, second)
