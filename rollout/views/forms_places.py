"""Forms of the places: a reason, a new release, a file, a link."""

import re
from typing import Any

from django import forms

from monitoring.reasons import Reason
from rollout.checklist import LABELS

COMMIT_LINE = re.compile(
    r"(?P<sha>[0-9a-fA-F]{7,40})\s+(?P<author>[^<]{1,120}?)\s*<(?P<email>[^<>\s]{3,150})>\s*(?P<subject>.*)"
)
COMMITS_MAX = 500


class ReasonForm(forms.Form):
    """One written reason."""

    why = Reason(
        label="Reason",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="In a sentence; it stands in the audit.",
    )


class ReleaseForm(forms.Form):
    """A new release of a component."""

    version = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": "1.1.0", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Letters, digits and . + _ -. A version never changes: another content is another version.",
    )
    commit = forms.CharField(
        min_length=40,
        max_length=40,
        label="Commit",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
        help_text="All 40 hexadecimal digits: git rev-parse HEAD.",
    )
    branch = forms.CharField(max_length=120, initial="main")
    pull_request = forms.IntegerField(min_value=1, required=False, label="Pull request number")
    commits = forms.CharField(
        required=False,
        label="Commits since the live version",
        widget=forms.Textarea(
            attrs={
                "rows": 6,
                "class": "mono",
                "spellcheck": "false",
                "placeholder": "9fceb02… Rita <rita@example.com> Add the average colour",
            }
        ),
        help_text="One a line, as git log --format='%H %an <%ae> %s' prints them. Authors cannot approve, and a list "
        "without any is refused at submit where the policy refuses unknown authors.",
    )
    notes = forms.CharField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What an approver should know. Markdown.",
    )

    def clean_commit(self) -> str:
        """Return the commit in lower case."""
        return str(self.cleaned_data["commit"]).lower()

    def clean_commits(self) -> list[dict[str, str]]:
        """Return the pasted lines as rows; say which line cannot be read."""
        rows = []
        for number, line in enumerate(str(self.cleaned_data["commits"]).splitlines(), start=1):
            if not line.strip():
                continue
            found = COMMIT_LINE.fullmatch(line.strip())
            if found is None:
                raise forms.ValidationError(f"Line {number} is no commit: expected sha Author Name <email> subject.")
            rows.append({**found.groupdict(), "sha": found["sha"].lower()})
        if len(rows) > COMMITS_MAX:
            raise forms.ValidationError(
                f"{len(rows)} commits are more than {COMMITS_MAX}; leave out those that are live already."
            )
        return rows


class UploadForm(forms.Form):
    """A file of evidence, with the `.sha256` file that came with it."""

    kind = forms.CharField(widget=forms.HiddenInput)
    file = forms.FileField(label="File", allow_empty_file=True)
    sidecar = forms.FileField(
        label="Its .sha256 file",
        required=False,
        allow_empty_file=True,
        help_text="When it is given, the file must match it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": False, **kwargs})


class LinkForm(forms.Form):
    """A link to a CI run."""

    kind = forms.CharField(widget=forms.HiddenInput)
    url = forms.CharField(
        label="Link to the run",
        max_length=300,
        widget=forms.URLInput(attrs={"placeholder": "https://github.com/…/actions/runs/…"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": False, **kwargs})


def label_of(kind: str) -> str:
    """Return what the checklist calls a kind of evidence."""
    return LABELS.get(kind, kind.replace("_", " "))
