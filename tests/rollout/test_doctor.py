"""The doctor says what is wrong, also where hardly anything is right."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from monitoring.models import Checkpoint
from rollout import doctor
from tests.approvals import forger

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_with_migrations_missing_it_says_so_and_asks_nothing_else() -> None:
    MigrationRecorder(connection).migration_qs.filter(app="rollout").delete()
    found = list(doctor.examine(now=NOW))
    assert [one.level for one in found] == ["ok", "bad"]
    assert found[-1].advice.startswith("run manage.py migrate")


@pytest.mark.django_db
def test_an_installation_without_processes_is_told_so() -> None:
    assert any("pulse" in one.what and one.level != "ok" for one in doctor.examine(now=NOW))


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL keeps numbers alone in a column of numbers")
def test_a_checkpoint_with_a_text_in_place_of_its_number_is_told() -> None:
    forger.edit(Checkpoint.objects.create(seq=1, at=NOW), seq="abc")
    assert any("kept with 'abc' for its number" in one.what and one.level == "bad" for one in doctor.examine(now=NOW))
