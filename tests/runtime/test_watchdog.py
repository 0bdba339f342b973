"""The watchdog acts when the bot is silent, only then, and once: every branch on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.model.account import OrderReport
from core.model.codes import OperatorAction
from core.model.errors import CredentialError, PortInUseError, VenueError
from core.model.events import OpenOrdersReported
from core.model.time import NS_PER_S
from core.runtime import watchdog as module
from core.runtime.flatten import FlattenReport, Picture
from core.runtime.rescue import RescueReport
from core.runtime.watchdog import (
    ATTEMPT_ROUNDS,
    MISSES_MIN,
    Beat,
    Watchdog,
    poll_seconds_of,
    sole_watchdog,
    watchdog_client,
)
from core.runtime.watchdog_state import (
    FRESH_NS,
    STATE_NAME,
    WatchdogPhase,
    describe,
    is_on_guard,
    read_state,
    write_state,
)
from core.utils.clock import ManualClock
from core.utils.credential_manager import CredentialManager

ACCOUNT = "0x" + "a1" * 20
OTHER = "0x" + "b2" * 20
SILENCE = 10.0
POLL = poll_seconds_of(SILENCE)


class WorldClock(ManualClock):
    """Time that a sleeper moves by itself, and a ceiling so that no loop runs for ever."""

    def __init__(self) -> None:
        super().__init__(1_000 * NS_PER_S)
        self.until_ns = 10**18
        self.on_sleep: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.jump(seconds)
        self.on_sleep()
        await asyncio.sleep(0)
        assert self.now_ns() < self.until_ns, "invariant: a test does not run for ever"


class Bot:
    """A bot that beats, is deaf, or answers and handles nothing any more."""

    def __init__(self) -> None:
        self.session, self.seq, self.account = "live-1", 5, ACCOUNT
        self.is_deaf = self.is_stuck = False
        self.ended: str | None = None
        self.orders: list[OperatorAction] = []
        self.on_order: Callable[[], None] = lambda: None

    async def listen(self) -> Beat | None:
        if self.is_deaf:
            return None
        if not self.is_stuck:
            self.seq += 1
        return Beat(self.session, self.seq, self.account)

    async def order(self, action: OperatorAction, reason: str) -> None:
        assert "silent for" in reason
        self.orders.append(action)
        self.on_order()

    def end_reason(self, session: str) -> str | None:
        return self.ended if session == self.session else None


class Venue:
    """Closes after a number of failures; keeps what was asked of its own switch."""

    def __init__(self) -> None:
        self.closings: list[str] = []
        self.failures: list[Exception | None] = []
        self.stops: tuple[OrderReport, ...] = ()
        self.switch: list[int | None] = []
        self.refusal = ""
        self.is_away = False

    async def close(self, reason: str, **words: Any) -> RescueReport:
        assert words == {"rounds_max": ATTEMPT_ROUNDS}
        self.closings.append(reason)
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, VenueError):
            raise failure
        empty = Picture(orders=(), positions=(), account_value_micro=0)
        is_done = failure is None
        report = FlattenReport(
            is_flat=is_done,
            rounds=1,
            cancelled_count=1,
            closing_orders_count=1,
            before=empty,
            after=empty,
            problems=(),
        )
        return RescueReport(flatten=report, is_done=is_done, spot=(), incident="incident-1.json")

    async def fetch_open_orders(self) -> OpenOrdersReported:
        if self.is_away:
            raise VenueError("the venue should answer, was away")
        return OpenOrdersReported(orders=self.stops)

    async def schedule_cancel(self, time_ns: int | None) -> str:
        self.switch.append(time_ns)
        return self.refusal


class Told:
    """Keeps what a person was told."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def notify(self, level: str, name: str, detail: str) -> None:
        self.names.append(name)


class Kennel:
    """A watchdog with its bot, venue and clock."""

    def __init__(self, state_dir: Path, **words: Any) -> None:
        self.bot, self.venue, self.clock, self.told = Bot(), Venue(), WorldClock(), Told()
        self.state_dir = state_dir
        self.words = words
        self.dog = self.new_dog()

    def new_dog(self) -> Watchdog:
        return Watchdog(
            self.venue,
            self.bot,
            self.venue,  # type: ignore[arg-type]
            self.clock,
            self.state_dir,
            account=ACCOUNT,
            mode="live",
            silence_seconds=SILENCE,
            notifier=self.told,
            monotonic_ns=self.clock.now_ns,
            **self.words,
        )

    @property
    def phase(self) -> WatchdogPhase:
        return self.dog.state.phase

    async def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds / POLL)):
            await self.dog.look()
            self.clock.jump(POLL)


@pytest.fixture
def kennel(tmp_path: Path) -> Kennel:
    return Kennel(tmp_path)


async def test_nothing_is_done_before_a_bot_was_ever_heard(kennel: Kennel) -> None:
    kennel.bot.is_deaf = True
    await kennel.pass_seconds(100 * SILENCE)
    assert kennel.phase is WatchdogPhase.WAITING
    assert kennel.venue.closings == []


async def test_a_living_bot_is_left_alone(kennel: Kennel) -> None:
    await kennel.pass_seconds(10 * SILENCE)
    assert kennel.phase is WatchdogPhase.ARMED
    assert kennel.venue.closings == [] and kennel.bot.orders == []


async def test_a_short_silence_is_forgiven(kennel: Kennel) -> None:
    for _ in range(5):
        await kennel.pass_seconds(2)
        kennel.bot.is_deaf = True
        await kennel.pass_seconds(SILENCE - 2 * POLL)
        assert kennel.phase is WatchdogPhase.SILENT
        kennel.bot.is_deaf = False
    await kennel.pass_seconds(2)
    assert kennel.phase is WatchdogPhase.ARMED and kennel.venue.closings == []


@pytest.mark.parametrize("flaw", ["is_deaf", "is_stuck"])
async def test_a_silent_bot_is_halted_and_its_account_closed_once(
    kennel: Kennel, flaw: str
) -> None:
    await kennel.pass_seconds(5)
    setattr(kennel.bot, flaw, True)
    await kennel.pass_seconds(SILENCE - POLL)
    assert kennel.venue.closings == []
    await kennel.pass_seconds(2 * POLL)
    assert len(kennel.venue.closings) == 1
    assert kennel.bot.orders == [OperatorAction.HALT]
    assert kennel.phase is WatchdogPhase.DONE
    assert kennel.dog.state.incident == "incident-1.json"
    await kennel.pass_seconds(100 * SILENCE)
    assert len(kennel.venue.closings) == 1, "never twice for one silence"
    assert kennel.told.names == ["watchdog_armed", "watchdog_acts", "watchdog_done"]


async def test_the_bot_is_told_to_halt_before_anything_is_closed(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    kennel.bot.on_order = lambda: kennel.told.names.append(f"closed {kennel.venue.closings}")
    await kennel.pass_seconds(2 * SILENCE)
    assert "closed []" in kennel.told.names


async def test_a_bot_that_speaks_at_the_last_moment_is_left_alone(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    await kennel.pass_seconds(SILENCE - POLL)
    kennel.clock.jump(2 * POLL)
    answers = iter([True, False])

    async def listen() -> Beat | None:
        return None if next(answers) else Beat("live-1", 99, ACCOUNT)

    kennel.bot.listen = listen  # type: ignore[method-assign]
    await kennel.dog.look()
    assert kennel.phase is WatchdogPhase.ARMED and kennel.venue.closings == []


async def test_trying_goes_on_with_growing_pauses_until_the_venue_says_flat(
    kennel: Kennel,
) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    away = VenueError("the venue should answer, was away")
    kennel.venue.failures = [away, ValueError("left"), away, away, away, away, away, away, None]
    pauses: list[int] = []
    kennel.clock.on_sleep = lambda: pauses.append(kennel.clock.now_ns())
    await kennel.pass_seconds(2 * SILENCE)
    assert len(kennel.venue.closings) == 9
    assert len(set(kennel.venue.closings)) == 1, "one incident"
    gaps = [(b - a) / NS_PER_S for a, b in pairwise(pauses)]
    assert gaps == [2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0]
    assert kennel.phase is WatchdogPhase.DONE


async def test_a_bot_that_is_back_before_it_is_flat_is_told_to_flatten_itself(
    kennel: Kennel,
) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    kennel.venue.failures = [VenueError("away")] * 50

    def wake() -> None:
        kennel.bot.is_deaf = len(kennel.venue.closings) < 3

    kennel.clock.on_sleep = wake
    await kennel.pass_seconds(SILENCE + POLL)
    assert kennel.bot.orders == [OperatorAction.HALT, OperatorAction.FLATTEN]
    assert len(kennel.venue.closings) == 3
    assert kennel.phase is WatchdogPhase.ARMED


async def test_a_bot_that_comes_back_is_watched_again_and_its_next_silence_counts(
    kennel: Kennel,
) -> None:
    for count in (1, 2):
        kennel.bot.is_deaf = False
        await kennel.pass_seconds(2)
        assert kennel.phase is WatchdogPhase.ARMED
        kennel.bot.is_deaf = True
        await kennel.pass_seconds(2 * SILENCE)
        assert len(kennel.venue.closings) == count
    assert len(set(kennel.venue.closings)) == 2, "two incidents"


async def test_a_bot_that_ended_in_order_is_left_alone_with_its_stops(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf, kennel.bot.ended = True, "interrupted"
    await kennel.pass_seconds(10 * SILENCE)
    assert kennel.phase is WatchdogPhase.ENDED and kennel.venue.closings == []
    assert "interrupted" in kennel.dog.state.detail
    kennel.bot.is_deaf, kennel.bot.session = False, "live-2"
    await kennel.pass_seconds(2)
    assert kennel.phase is WatchdogPhase.ARMED


async def test_a_bot_of_another_account_is_never_acted_for(kennel: Kennel) -> None:
    kennel.bot.account = OTHER
    await kennel.pass_seconds(5)
    kennel.bot.is_deaf = True
    await kennel.pass_seconds(10 * SILENCE)
    assert kennel.phase is WatchdogPhase.WAITING and kennel.venue.closings == []
    assert OTHER in kennel.dog.state.detail


async def test_a_clock_that_leaps_is_no_silence(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    kennel.clock.jump(1_000 * SILENCE)  # the machine was suspended
    for _ in range(MISSES_MIN - 1):
        await kennel.dog.look()
    assert kennel.venue.closings == []
    await kennel.dog.look()
    assert len(kennel.venue.closings) == 1


# --- a watchdog that is itself restarted ----------------------------------------------------------


async def test_a_restarted_watchdog_still_knows_whom_it_watched(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    kennel.bot.is_deaf = True
    kennel.dog = kennel.new_dog()
    assert kennel.phase is WatchdogPhase.ARMED
    await kennel.pass_seconds(SILENCE - POLL)
    assert kennel.venue.closings == [], "it gives the bot the whole time"
    await kennel.pass_seconds(2 * POLL)
    assert len(kennel.venue.closings) == 1
    kennel.dog = kennel.new_dog()
    await kennel.pass_seconds(10 * SILENCE)
    assert len(kennel.venue.closings) == 1, "nor twice after a restart"


async def test_a_file_of_another_account_or_a_torn_one_is_passed_over(kennel: Kennel) -> None:
    await kennel.pass_seconds(2)
    write_state(kennel.state_dir, msgspec.structs.replace(kennel.dog.state, account=OTHER))
    assert kennel.new_dog().state.phase is WatchdogPhase.WAITING
    (kennel.state_dir / STATE_NAME).write_text("{")
    assert kennel.new_dog().state.phase is WatchdogPhase.WAITING


async def test_it_watches_until_it_is_cancelled_and_stays_fresh(kennel: Kennel) -> None:
    watch = asyncio.ensure_future(kennel.dog.run())
    for _ in range(500):
        await asyncio.sleep(0)
    state = read_state(kennel.state_dir)
    assert state is not None and state.phase is WatchdogPhase.ARMED
    assert is_on_guard(state, kennel.clock.now_ns())
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert watch.cancelled()
    state = read_state(kennel.state_dir)
    assert state is not None and not is_on_guard(state, kennel.clock.now_ns())


def test_a_full_disk_does_not_stop_the_watch(kennel: Kennel, monkeypatch: Any) -> None:
    def refuse(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module, "write_state", refuse)
    asyncio.run(kennel.pass_seconds(3))
    assert kennel.phase is WatchdogPhase.ARMED
    assert "watchdog_state_not_written" in kennel.told.names


# --- the venue's own switch -----------------------------------------------------------------------


def stop_order() -> OrderReport:
    return OrderReport(
        coin="BTC",
        oid=1,
        cloid=None,
        is_buy=False,
        px=1,
        lots_orig=1,
        lots_left=1,
        reduce_only=True,
        trigger_px=980_000,
        ts_exch_ns=0,
    )


async def test_the_venues_switch_is_left_alone_unless_asked_for(kennel: Kennel) -> None:
    await kennel.pass_seconds(100)
    assert kennel.venue.switch == [] and kennel.dog.state.venue_switch == "off"


async def test_the_venues_switch_moves_ahead_while_the_bot_lives(tmp_path: Path) -> None:
    kennel = Kennel(tmp_path, has_venue_switch=True)
    await kennel.pass_seconds(60)
    assert len(kennel.venue.switch) == 4
    assert kennel.venue.switch == sorted(kennel.venue.switch)  # type: ignore[type-var]
    assert kennel.dog.state.venue_switch.startswith("on, cancels all orders at")
    kennel.bot.is_deaf, kennel.bot.ended = True, "interrupted"
    await kennel.pass_seconds(5)
    assert kennel.venue.switch[-1] is None
    assert kennel.dog.state.venue_switch == "off: the bot ended in order"


async def test_the_venues_switch_is_cleared_where_it_would_strip_stops(tmp_path: Path) -> None:
    kennel = Kennel(tmp_path, has_venue_switch=True)
    await kennel.pass_seconds(5)
    kennel.venue.stops = (stop_order(),)
    await kennel.pass_seconds(60)
    assert len(kennel.venue.switch) == 2 and kennel.venue.switch[-1] is None
    assert "would be cancelled too" in kennel.dog.state.venue_switch
    kennel.venue.stops = ()
    await kennel.pass_seconds(20)
    assert kennel.venue.switch[-1] is not None


async def test_what_the_venue_says_of_its_switch_is_shown(tmp_path: Path) -> None:
    kennel = Kennel(tmp_path, has_venue_switch=True)
    kennel.venue.refusal = "Cannot set scheduled cancel time until enough volume traded."
    await kennel.pass_seconds(5)
    assert kennel.dog.state.venue_switch == f"refused: {kennel.venue.refusal}"
    kennel.venue.is_away = True
    await kennel.pass_seconds(20)
    assert kennel.dog.state.venue_switch.startswith("unknown: ")


# --- its key --------------------------------------------------------------------------------------


async def test_a_key_that_ends_is_told_in_time(tmp_path: Path) -> None:
    asked = []

    async def check_key() -> None:
        asked.append(1)
        raise CredentialError("key should be an agent, was missing")

    kennel = Kennel(tmp_path, check_key=check_key)
    await kennel.pass_seconds(60)
    assert asked == []
    kennel.clock.jump(module.KEY_EVERY_SECONDS)
    await kennel.pass_seconds(60)
    assert asked == [1] and "watchdog_key" in kennel.told.names


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, "HYPERLIQUID_WATCHDOG_KEY should be set"),
        ({"HYPERLIQUID_WATCHDOG_KEY": "0x12"}, "HYPERLIQUID_WATCHDOG_KEY should be 0x"),
        (
            {
                "HYPERLIQUID_WATCHDOG_KEY": "0x" + "22" * 32,
                "HYPERLIQUID_AGENT_KEY": "0x" + "22" * 32,
            },
            "a key of its own",
        ),
        ({"HYPERLIQUID_WATCHDOG_KEY": "0x" + "22" * 32}, "HYPERLIQUID_ACCOUNT should be set"),
    ],
    ids=["no key", "short key", "the bot's key", "no account"],
)
async def test_it_refuses_to_start_without_what_it_needs(env: dict[str, str], text: str) -> None:
    from core.runtime.options import LiveOptions

    options = LiveOptions(base_url="http://127.0.0.1:9")
    with pytest.raises(CredentialError, match=text):
        async with watchdog_client(options, CredentialManager(env, paths=())):
            raise AssertionError("it should not have started")


def test_two_watchdogs_do_not_share_a_state_directory(tmp_path: Path) -> None:
    with (
        sole_watchdog(tmp_path),
        pytest.raises(PortInUseError, match="another one watches it"),
        sole_watchdog(tmp_path),
    ):
        raise AssertionError("the second should not have started")
    with sole_watchdog(tmp_path):
        assert (tmp_path / "watchdog.lock").exists()


# --- which switch is active -----------------------------------------------------------------------


async def test_which_switch_is_active_is_told(kennel: Kennel) -> None:
    assert describe(None, 0).startswith("no watchdog has run here")
    await kennel.pass_seconds(2)
    state = read_state(kennel.state_dir)
    assert state is not None
    now_ns = state.updated_ns + NS_PER_S
    assert is_on_guard(state, now_ns)
    assert "watchdog armed, acts after 10 s" in describe(state, now_ns)
    assert not is_on_guard(state, now_ns + FRESH_NS)
    assert "no watchdog runs" in describe(state, now_ns + FRESH_NS)
    assert json.loads((kennel.state_dir / STATE_NAME).read_text())["phase"] == "armed"
