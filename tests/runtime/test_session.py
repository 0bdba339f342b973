"""The one place where events become steps: order, numbers, and what a broken journal does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Mode, OperatorAction, Purpose, TradingState
from core.model.commands import CancelOrder, PlaceOrder
from core.model.errors import ExitCode, JournalError
from core.model.events import OperatorCommanded, SessionEnded, SessionStarted, TimerTicked
from core.model.time import NS_PER_HOUR
from core.runtime import compose
from core.runtime import session as session_module
from core.runtime.backtest import ACCOUNT
from core.runtime.in_process import InProcessRun, VirtualClock
from core.runtime.session import Session
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.simulation.wire.latency import LatencyModel
from core.utils.journal import SqliteJournal
from core.utils.journal_reader import JournalReader
from tests.engines.fakes import PX, T0, config_of, long
from tests.runtime.rooms import DISK_FULL, Room


def half_filled_entry() -> Room:
    """A resting entry, half filled: one order to cancel, and stop and target that protect."""
    room = Room(long(), config=config_of(order_type="limit")).start()
    room.tick(30.0)
    room.settle()
    (entry,) = [o for _, o, _ in room.venue.orders.values()]
    room.emit(*room.venue.fill(entry.cloid, entry.lots // 2, entry.px))
    room.settle()
    purposes = sorted(o.purpose for _, o, _ in room.venue.orders.values())
    assert purposes == [Purpose.ENTRY, Purpose.STOP, Purpose.TARGET]
    return room


def test_an_event_is_journaled_before_it_is_handled_and_durable_before_a_command_leaves() -> None:
    room = Room(long()).start()
    (at,) = [
        i
        for i, (what, batch) in enumerate(room.diary)
        if what == "send" and any(isinstance(c, PlaceOrder) and not c.reduce_only for c in batch)
    ]
    seq = room.diary[at - 2][1]
    assert [what for what, _ in room.diary[at - 4 : at]] == [
        "append",
        "process",
        "record",
        "commit",
    ]
    assert {number for what, number in room.diary[at - 4 : at] if what != "commit"} == {seq}


def test_no_command_ever_leaves_without_a_commit_of_its_own() -> None:
    room = half_filled_entry()
    words = [what for what, _ in room.diary]
    assert words.count("send") >= 2, "entry, and what protects it"
    assert all(words[i - 1] == "commit" for i, what in enumerate(words) if what == "send")


def test_what_is_emitted_from_within_send_is_handled_afterwards_and_in_order() -> None:
    room = Room(long())
    said = ["first", "second"]

    def answer_at_once() -> None:
        for reason in said:
            room.session.operate(OperatorAction.SET_PARAMETER, "venue", reason=reason)
        said.clear()

    room.start(settles=False)
    room.outbox.while_sending = answer_at_once
    room.tick(30.0)
    words = [what for what, _ in room.diary]
    last = len(words) - 1 - words[::-1].index("send")
    assert words[last : last + 3] == ["send", "sent", "append"]
    reasons = [e.reason for e in room.journal.events if isinstance(e, OperatorCommanded)]
    assert reasons == ["first", "second"]


@given(readings=st.lists(st.integers(T0 - NS_PER_HOUR, T0 + NS_PER_HOUR), min_size=1, max_size=30))
def test_numbers_have_no_gaps_and_time_never_runs_back(readings: list[int]) -> None:
    room = Room()
    for reading in readings:
        room.clock.ns = reading
        room.emit(TimerTicked(ts_exch_ns=reading))
    events = room.journal.events
    assert [e.seq for e in events] == list(range(1, len(readings) + 1))
    highest = [max(readings[: i + 1]) for i in range(len(readings))]
    assert [e.ts_recv_ns for e in events] == highest
    assert [e.ts_exch_ns for e in events] == readings, "the venue's stamps are left alone"


def test_only_steps_that_say_something_are_shown() -> None:
    room = Room(long()).start()
    before = len(room.steps)
    room.quote()
    assert len(room.steps) == before, "the same touch again is no news"
    assert room.session.recent_equity() == tuple(s.equity for s in room.steps if s.equity)
    assert room.session.recent_equity(), "equity is sampled"


def test_a_broken_invariant_takes_the_session_down_before_it_is_raised() -> None:
    room = half_filled_entry()

    def break_down(event: Any) -> Any:
        raise AssertionError("invariant: the sum is 0, was 1")

    room.session.engine.process = break_down
    with pytest.raises(AssertionError, match="the sum is 0, was 1"):
        room.tick()
    seq = room.session.seq
    assert room.stops, "whoever waits was woken"
    assert room.session.stop_reason == "stopped by AssertionError: invariant: the sum is 0, was 1"
    room.tick()
    assert room.session.seq == seq, "what may be half done is not built upon"
    room.settle()
    left = sorted(o.purpose for _, o, _ in room.venue.orders.values())
    assert left == [Purpose.STOP, Purpose.TARGET]


def test_after_a_broken_invariant_the_journal_keeps_the_event_that_broke_it() -> None:
    room = Room().start()
    room.session.engine.process = lambda event: 1 // 0
    with pytest.raises(ZeroDivisionError):
        room.tick()
    room.session.close("failed")
    assert isinstance(room.journal.events[-1], TimerTicked)
    assert room.diary[-1] == ("close", None)


def test_the_first_reason_to_stop_is_kept_and_everyone_wakes() -> None:
    room = Room()
    room.session.request_stop("interrupted")
    room.session.request_stop("duration reached")
    assert room.session.stop_reason == "interrupted"
    assert room.stops == ["asked", "asked"]


def test_the_journal_ends_with_the_reason_and_a_checkpoint() -> None:
    room = Room().start()
    room.session.close("interrupted")
    assert room.journal.events[-1].reason == "interrupted"
    assert isinstance(room.journal.events[-1], SessionEnded)
    last = room.session.seq
    assert room.diary[-5:] == [
        ("process", last),
        ("record", last),
        ("commit", None),
        ("checkpoint", last),
        ("close", None),
    ]


# --- a journal that fails ----------------------------------------------------------------------


def fail_at(room: Room, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the journal, then let something happen that needs it."""
    monkeypatch.setattr(session_module, "CHECKPOINT_EVERY", 1)
    room.journal.fails_at = place
    room.session.operate(OperatorAction.FLATTEN, "tester")
    room.tick()


@pytest.mark.parametrize("place", ["append", "record", "checkpoint", "commit"])
def test_without_a_journal_orders_are_cancelled_and_stops_stay(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = half_filled_entry()
    sent_before = len(room.sent())
    fail_at(room, place, monkeypatch)

    new = room.sent()[sent_before:]
    assert all(isinstance(c, CancelOrder) for c in new), "nothing was decided without a journal"
    room.settle()
    left = sorted(o.purpose for _, o, _ in room.venue.orders.values())
    assert left == [Purpose.STOP, Purpose.TARGET]
    assert room.venue.positions["BTC"] > 0
    assert room.session.stop_reason == f"journal failed: {DISK_FULL}"
    assert room.stops, "whoever waits was woken"


@pytest.mark.parametrize("place", ["append", "record", "checkpoint", "commit"])
def test_after_the_journal_failed_nothing_is_decided_whoever_asks(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = half_filled_entry()
    fail_at(room, place, monkeypatch)
    written = len(room.journal.events)
    sent = len(room.sent())
    room.session.operate(OperatorAction.RESUME, "tester")
    room.strategy.wish = long()
    for px in (PX - 500, PX + 500):
        room.quote(px, px + 20)
        room.tick(60.0)
        room.settle()
    assert len(room.journal.events) == written
    assert not [c for c in room.sent()[sent:] if isinstance(c, PlaceOrder)]
    assert room.session.status().trading_state is TradingState.HALTED


@pytest.mark.parametrize("place", ["append", "record", "commit"])
def test_a_fill_that_the_journal_cannot_take_still_gets_its_stop(place: str) -> None:
    room = Room(long(), config=config_of(order_type="limit")).start()
    room.tick(30.0)
    room.settle()
    (entry,) = [o for _, o, _ in room.venue.orders.values()]
    room.journal.fails_at = place
    room.emit(*room.venue.fill(entry.cloid, entry.lots // 2, entry.px))
    assert room.session.failure is not None
    room.settle()
    stops = [o for _, o, _ in room.venue.orders.values() if o.purpose is Purpose.STOP]
    assert [o.lots for o in stops] == [room.venue.positions["BTC"]]
    assert not [o for _, o, _ in room.venue.orders.values() if o.purpose is Purpose.ENTRY]


def test_a_fill_after_the_journal_failed_gets_its_stop_too() -> None:
    room = Room(long(), config=config_of(order_type="limit")).start()
    room.tick(30.0)
    room.settle()
    (entry,) = [o for _, o, _ in room.venue.orders.values()]
    late = room.venue.fill(entry.cloid, entry.lots, entry.px)
    room.journal.fails_at = "append"
    room.tick()
    room.settle()
    room.emit(*late)
    room.settle()
    stops = [o for _, o, _ in room.venue.orders.values() if o.purpose is Purpose.STOP]
    assert [o.lots for o in stops] == [room.venue.positions["BTC"]]


def test_a_commit_that_fails_keeps_its_commands_at_home() -> None:
    room = Room().start()
    room.journal.fails_at = "commit"
    room.strategy.wish = long()
    room.tick(30.0)
    room.quote(PX - 20, PX + 10)
    assert room.session.failure is not None
    assert not [c for c in room.sent() if isinstance(c, PlaceOrder)]


@pytest.mark.parametrize("place", ["append", "record", "checkpoint", "close"])
def test_a_journal_that_fails_at_the_very_end_is_told(place: str) -> None:
    room = Room().start()
    room.session.request_stop("interrupted")
    room.journal.fails_at = place
    room.session.close("interrupted")
    assert room.session.stop_reason == f"journal failed: {DISK_FULL}", "the graver reason"
    assert room.journal.is_closed, "the file is released whatever happened"


def test_closing_after_a_failure_is_silent_and_releases_the_file() -> None:
    room = Room().start()
    room.journal.fails_at = "append"
    room.tick()
    words = list(room.diary)
    room.session.close("interrupted")
    assert room.diary == words
    assert room.journal.is_closed


# --- a disk that is really full ----------------------------------------------------------------

BYTES_MAX = 1_000_000


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Backtest BTC on a journal that may not grow beyond a megabyte."""
    directory = tmp_path_factory.mktemp("full-disk")
    end_ns = SAMPLE_START_NS + 12 * NS_PER_HOUR
    source = SampleSource(["BTC"], end_ns=end_ns)
    config = compose.with_coins(compose.load_config(None, None), ("BTC",))
    clock = VirtualClock(source.start_ns)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    exchange.fund(ACCOUNT, 10_000_000_000)
    exchange.drain()
    journal = SqliteJournal(
        directory / compose.JOURNAL_NAME, session="full", is_durable=False, bytes_max=BYTES_MAX
    )
    session = Session(compose.build_engine(config, account=ACCOUNT), journal, clock)
    session.emit(
        SessionStarted(
            session="full", mode=Mode.BACKTEST, account=ACCOUNT, version="0", config_json="{}"
        )
    )
    run = InProcessRun(
        session,
        exchange,
        source,
        clock=clock,
        account=ACCOUNT,
        params=config.trading,
        latency=LatencyModel(7),
    )
    stopped_ns = list(run.run())[-1]
    session.close(session.stop_reason)
    return session, exchange, directory, stopped_ns


def test_a_full_disk_ends_the_run_long_before_its_data_do(full_disk: Any) -> None:
    session, _, _, stopped_ns = full_disk
    assert isinstance(session.failure, JournalError)
    assert "disk is full" in str(session.failure)
    assert session.stop_reason.startswith("journal failed: journal should take new rows")
    assert SAMPLE_START_NS < stopped_ns < SAMPLE_START_NS + 11 * NS_PER_HOUR


def test_a_full_disk_leaves_no_order_but_protective_ones(full_disk: Any) -> None:
    _, exchange, _, _ = full_disk
    assert all(o.reduce_only for o in exchange.open_orders(ACCOUNT))
    assert exchange.conservation_error_micro() == 0


def test_a_full_disk_is_the_journal_exit_code_and_what_was_committed_is_readable(
    full_disk: Any,
) -> None:
    session, _, directory, _ = full_disk
    outcome = compose.outcome_of(session, directory, assumptions=("none",))
    assert outcome.exit_code is ExitCode.JOURNAL
    assert "disk is full" in outcome.reason
    assert outcome.record.equity
    assert (directory / compose.JOURNAL_NAME).stat().st_size <= BYTES_MAX
    with JournalReader(outcome.journal_path) as reader:
        reader.verify()
        assert 0 < reader.last_seq <= session.seq
