"""Forms of a break-glass: its two reasons, and the review afterwards."""

from typing import Any

from django import forms

from monitoring.reasons import Reason
from rollout.forms import PASSWORD, SignedForm
from rollout.models import GlassReview


class GlassForm(SignedForm):
    """Two written reasons over the digest that was seen, signed by a passkey, or with the password."""

    field_order = ("digest", "assertion", "why_now", "why_safe", "password")
    why_now = Reason(
        label="Why it cannot wait for the missing signatures",
        least=15,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "Since … every customer … ; waiting until … means …"}),
    )
    why_safe = Reason(
        label="Why it is safe: what was checked instead, and by whom",
        least=15,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "Read the difference with …; ran it on staging …"}),
    )

    def __init__(self, data: Any = None, *, digest: str, stale: bool, passkey: bool = False) -> None:
        super().__init__(data, auto_id="glass_%s", initial={"digest": digest})
        self.ask(stale=stale, passkey=passkey)


class ReviewForm(forms.Form):
    """One person's verdict on a break-glass, with words."""

    verdict = forms.ChoiceField(
        label="Was it right?",
        widget=forms.RadioSelect,
        choices=[
            (GlassReview.Verdict.AGREE, "I agree: it could not wait, and it was safe enough"),
            (GlassReview.Verdict.OBJECT, "I object: it could have waited, or it was not safe"),
        ],
    )
    words = Reason(
        label="What you looked at, and what you found",
        least=15,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs=PASSWORD), label="Your password")

    def __init__(self, data: Any = None, *, stale: bool) -> None:
        super().__init__(data, auto_id="review_glass_%s")
        if not stale:
            del self.fields["password"]
