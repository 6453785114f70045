"""A day of a filter."""

from datetime import date

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

# Periods are widened by a day, and by how far the clock ever went back: neither may leave what a date can say.
FIRST, LAST = date(1970, 1, 1), date(9000, 1, 1)


class DayField(forms.DateField):
    """A day for which there can be entries; others are refused beside the field."""

    default_validators = [MinValueValidator(FIRST), MaxValueValidator(LAST)]
