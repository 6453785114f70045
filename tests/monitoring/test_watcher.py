"""Watches: who looks, what is stored, and how the window ends."""

from dataclasses import replace

import pytest

from monitoring import watcher
from monitoring.audit import SYSTEM
from monitoring.gates import Source
from monitoring.models import AuditEntry, Notice, Poll, Sample, Watch

from .effects import NOW, RITA, later
from .watched import PROFILE, Target, gate, open_watch, run

pytestmark = pytest.mark.django_db


def test_first_look_is_due_at_once():
    open_watch()
    assert watcher.next_due(NOW) == NOW


def test_a_look_stores_one_poll_with_a_sample_of_each_source():
    watch = open_watch()
    watcher.observe_due(NOW, fetch=Target())
    assert Poll.objects.get(watch=watch).number == 1
    assert sorted(Sample.objects.values_list("source", flat=True)) == ["disk", "health", "p95", "queue"]


def test_next_look_follows_the_cadence_with_its_reason():
    watch = open_watch()
    watcher.observe_due(NOW, fetch=Target())
    assert watcher.next_due(NOW) == later(5)
    assert "first" in watch.poll_set.get().next_reason


def test_nothing_is_read_before_it_is_due():
    open_watch()
    target = Target()
    watcher.observe_due(NOW, fetch=target)
    calls = target.calls
    assert watcher.observe_due(later(4), fetch=target) == [] and target.calls == calls


def test_a_healthy_window_passes_at_its_end():
    watch = open_watch()
    decided = run(watch, Target(), until=100)
    assert [ids for _, ids in decided] == [[watch.pk]]
    assert 60 <= decided[0][0] < 61
    assert (watch.outcome, watch.state) == (Watch.Outcome.PASSED, Watch.State.DECIDED)


def test_a_passed_watch_is_looked_at_no_more():
    watch = open_watch()
    run(watch, Target(), until=100)
    assert watcher.next_due(NOW) is None


def test_the_third_failed_health_check_in_a_row_is_a_breach():
    watch, target = open_watch(), Target()
    target.status = 503
    decided = run(watch, target, until=100)
    assert watch.outcome == Watch.Outcome.BREACHED and watch.polls == 3
    assert decided == [(10.0, [watch.pk])]


def test_a_breach_names_its_gate_and_is_audited_with_the_values():
    watch, target = open_watch(), Target()
    target.p95 = 3000.5
    run(watch, target, until=1)
    entry = AuditEntry.objects.get(action="watch.breached")
    assert "p95" in watch.reason and entry.why == watch.reason
    assert '"value":"3000.5"' in entry.body


def test_a_pause_gate_asks_a_person():
    watch, target = open_watch(), Target()
    target.queue = 2000
    assert run(watch, target, until=1) == [(0.0, [watch.pk])]
    assert watch.outcome == Watch.Outcome.NEEDS_DECISION


def test_while_a_person_is_awaited_the_polls_go_on_and_can_still_breach():
    watch, target = open_watch(), Target()
    target.queue = 2000
    run(watch, target, until=1)
    target.p95 = 3000
    decided = run(watch, target, until=20, start=5)
    assert [ids for _, ids in decided] == [[watch.pk]] and watch.outcome == Watch.Outcome.BREACHED


def test_no_data_is_never_a_pass_and_extends_once_before_a_person_decides():
    watch, target = open_watch(), Target()
    target.p95 = None
    run(watch, target, until=400)
    assert watch.outcome == Watch.Outcome.NEEDS_DECISION and watch.extended
    assert AuditEntry.objects.filter(action="watch.extended").count() == 1


def test_a_gap_in_observation_extends_the_window_by_its_length():
    watch, target = open_watch(), Target()
    run(watch, target, until=20)
    run(watch, target, until=300, start=60)
    assert watch.outcome == Watch.Outcome.PASSED and watch.extended is False
    assert 95 <= (watch.ends_at - NOW).total_seconds() <= 101


def test_a_duplicate_delivery_loses():
    watch = open_watch()
    stale = Watch.objects.get(pk=watch.pk)
    watcher.observe_due(NOW, fetch=Target())
    stale.claimed_until = later(30)
    with pytest.raises(watcher.watch_store.LostError):
        watcher.watch_store.store(stale, [], NOW)
    assert Poll.objects.count() == 1


def test_a_claimed_watch_is_left_alone_until_the_claim_runs_out():
    watch, target = open_watch(), Target()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(31))
    assert watcher.observe_due(later(1), fetch=target) == [] and target.calls == 0
    watcher.observe_due(later(31), fetch=target)
    assert target.calls == 4


def test_next_due_waits_for_a_claim_of_a_worker_that_may_be_dead():
    watch = open_watch()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(31))
    assert watcher.next_due(NOW) == later(31)


def test_a_claim_that_is_let_go_delays_no_look():
    watch = open_watch()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(31))
    watcher.release()
    assert watcher.next_due(later(1)) == watch.next_due_at


def test_a_look_whose_claim_was_let_go_does_not_count():
    watch = open_watch()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(31))
    watch.refresh_from_db()
    watcher.release()
    with pytest.raises(watcher.watch_store.LostError):
        watcher.watch_store.store(watch, [], NOW)


def test_a_claim_on_what_is_watched_elsewhere_stays():
    watch = open_watch()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(31))
    watcher.release(leave=[watch.pk])
    assert watcher.next_due(NOW) == later(31)


def test_one_broken_watch_does_not_blind_the_others():
    broken, sound = open_watch(), open_watch()
    Watch.objects.filter(pk=broken.pk).update(profile={**PROFILE.to_dict(), "name": 7})
    watcher.observe_due(NOW, fetch=Target())
    sound.refresh_from_db()
    assert sound.polls == 1


def test_an_alert_gate_is_told_once_and_changes_no_outcome():
    watch, target = open_watch(), Target()
    target.disk = 95
    run(watch, target, until=100)
    assert Notice.objects.filter(event="watch_alert").count() == 1
    assert watch.outcome == Watch.Outcome.PASSED


def test_accepting_needs_a_reason():
    with pytest.raises(ValueError, match="sentence"):
        watcher.accept(open_watch(), by=RITA, why=" ", now=NOW)


def test_accepting_a_watch_that_asks_nothing_is_a_conflict():
    with pytest.raises(watcher.Conflict, match="awaits no decision: it is observing"):
        watcher.accept(open_watch(), by=RITA, why="looks well", now=NOW)


def test_accepting_passes_the_watch_and_is_audited():
    watch, target = open_watch(), Target()
    target.queue = 2000
    run(watch, target, until=1)
    watcher.accept(watch, by=RITA, why="the queue is being worked off", now=later(3))
    assert watch.outcome == Watch.Outcome.PASSED
    assert AuditEntry.objects.first().action == "watch.accepted"


def test_a_second_acceptance_is_a_conflict():
    watch, target = open_watch(), Target()
    target.queue = 2000
    run(watch, target, until=1)
    watcher.accept(watch, by=RITA, why="fine", now=later(3))
    with pytest.raises(watcher.Conflict):
        watcher.accept(watch, by=SYSTEM, why="fine", now=later(3))


def test_a_breach_can_be_accepted_where_nothing_was_rolled_back_and_the_audit_says_so():
    watch, target = open_watch(), Target()
    target.p95 = 3000
    run(watch, target, until=1)
    watcher.accept(watch, by=RITA, why="known: the index is being built", now=later(3), also_breached=True)
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.old, entry.new) == ("watch.accepted", "BREACHED", "PASSED")


def test_a_breach_is_not_accepted_by_who_was_only_asked_about_an_unclear_window():
    watch, target = open_watch(), Target()
    target.queue = 2000
    run(watch, target, until=1)
    seen = Watch.objects.get(pk=watch.pk)
    target.p95 = 3000
    run(watch, target, until=6, start=5)
    with pytest.raises(watcher.Conflict, match="breached"):
        watcher.accept(seen, by=RITA, why="looks well", now=later(7))


def test_closing_stops_the_looks_and_twice_is_once():
    watch = open_watch()
    watcher.close(watch, now=later(1))
    watcher.close(watch, now=later(2))
    assert watcher.next_due(NOW) is None and watch.closed_at == later(1)
    assert AuditEntry.objects.filter(action="watch.closed").count() == 1


def test_readings_come_back_as_they_were_judged():
    watch = open_watch()
    watcher.observe_due(NOW, fetch=Target())
    found = {reading.source: reading for reading in watcher.readings(watch)}
    assert found["p95"].value == 300 and found["p95"].at == NOW.timestamp() and found["health"].ok


def test_series_holds_limit_samples_and_states_of_each_gate_on_one_axis():
    watch, target = open_watch(), Target()
    run(watch, target, until=6)
    told = watcher.series(watch)
    p95 = next(gate for gate in told["gates"] if gate["name"] == "p95")
    assert told["at"] == [NOW.timestamp(), NOW.timestamp() + 5]
    assert (p95["limit"], p95["samples"], p95["states"]) == (2000.0, [300.0, 300.0], ["passing", "passing"])


def test_a_target_that_refuses_the_connection_is_a_failed_check_and_no_number():
    watch = open_watch()
    watcher.observe_due(NOW)
    found = {reading.source: reading for reading in watcher.readings(watch)}
    assert not found["health"].ok and "refused" in found["health"].error
    assert found["p95"].value is None and not found["p95"].ok


def test_a_figure_that_is_not_finite_is_missing_data():
    watch, target = open_watch(), Target()
    target.p95 = float("inf")
    watcher.observe_due(NOW, fetch=target)
    found = {reading.source: reading for reading in watcher.readings(watch)}
    assert found["p95"].value is None and not found["p95"].ok


COMMAND = replace(
    PROFILE,
    sources=(
        Source(name="log", kind="log", title="Log", argv=("sh", "-c", 'test "$GR_RELEASE" = 1.1.0 && cat VERSION')),
    ),
    gates=(gate("log", 2, "rollback", kind="consecutive_failures"),),
)


def test_a_command_runs_in_the_release_directory_with_the_variables_of_the_target(tmp_path):
    (tmp_path / "VERSION").write_text("1.1.0")
    watch = open_watch(COMMAND, cwd=str(tmp_path), env={"GR_RELEASE": "1.1.0"})
    watcher.observe_due(NOW)
    (reading,) = watcher.readings(watch)
    assert reading.ok, reading.error


def test_a_command_whose_directory_is_gone_is_a_failed_check(tmp_path):
    watch = open_watch(COMMAND, cwd=str(tmp_path / "gone"))
    watcher.observe_due(NOW)
    (reading,) = watcher.readings(watch)
    assert not reading.ok and "cannot be started in" in reading.error
