"""Rows that are history: refused changes at the door where code would make them; triggers stand behind it."""

from typing import Any, Never

from django.db import models


class AppendOnlyError(RuntimeError):
    """History is not edited: a row that says something else is added instead."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows that can be read and added to, and nothing else."""

    def update(self, **kwargs: Any) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{self.model.__name__} rows are never changed")

    def delete(self) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{self.model.__name__} rows are never removed")

    def bulk_update(self, *args: Any, **kwargs: Any) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{self.model.__name__} rows are never changed")


class FrozenQuerySet(models.QuerySet[Any]):
    """Rows that move on, but whose `model.MOVING` columns alone may change, and that stay."""

    def update(self, **kwargs: Any) -> int:
        """Change moving columns only."""
        if frozen := sorted(set(kwargs) - self.model.MOVING):
            raise AppendOnlyError(f"{self.model.__name__}.{', '.join(frozen)} never changes once it is written")
        return super().update(**kwargs)

    def delete(self) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{self.model.__name__} rows are never removed")

    def bulk_update(self, *args: Any, **kwargs: Any) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{self.model.__name__} rows are moved one by one, by the ledger")


class WrittenOnce(models.Model):
    """A row that is saved once and never removed."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save a new row; refuse to save one that stands."""
        if not self._state.adding:
            raise AppendOnlyError(f"{type(self).__name__} {self.pk} is written once and not saved again")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        """Refuse."""
        raise AppendOnlyError(f"{type(self).__name__} {self.pk} is history and is never removed")
