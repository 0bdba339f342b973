"""Sessions over real sockets against the local exchange: up, through trouble, and down in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.api.hyperliquid_api import HyperliquidAPI
from core.model.codes import Mode, TradingState
from core.model.errors import (
    ClockSkewError,
    ConsentError,
    CredentialError,
    ExitCode,
    PortInUseError,
    VenueError,
)
from core.model.events import BboChanged, SessionEnded, SessionStarted
from core.runtime import wired
from core.runtime.control import control_request
from core.runtime.live import run_live
from core.runtime.options import LiveOptions, Outcome, PaperOptions
from core.runtime.paper import run_paper
from core.runtime.replay import replay_journal
from core.runtime.session import Session
from core.simulation.wire.faults import FaultPlan, FaultRule
from core.utils.credential_manager import CredentialManager
from core.utils.journal_reader import JournalReader
from tests.runtime.local_venue import (
    AGENT,
    AGENT_KEY,
    MASTER,
    STRANGER,
    STRANGER_KEY,
    TIMER_SECONDS,
    LocalVenue,
    config_files,
    credentials,
    live_options,
    local_venue,
)
from tests.runtime.rooms import until

pytestmark = pytest.mark.contract


class Running:
    """A session under test and the task that runs it."""

    def __init__(self, session: Session, task: asyncio.Task[Outcome]) -> None:
        self.session, self.task = session, task

    def is_active(self) -> bool:
        return self.session.status().trading_state is TradingState.ACTIVE

    async def stop(self, reason: str = "interrupted") -> Outcome:
        self.session.request_stop(reason)
        return await self.task


Run = Callable[[Callable[[Session], None]], Any]


@asynccontextmanager
async def running(run: Run) -> AsyncIterator[Running]:
    """Start a session and wait until it is up; whatever happens, nothing runs on afterwards."""
    ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(run(ready.set_result))
    try:
        await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield Running(ready.result(), task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def live(venue: LocalVenue, directory: Path, **changes: Any) -> Run:
    clock = changes.pop("clock", venue.clock)
    keys = changes.pop("credentials", None) or credentials()
    options = live_options(venue, directory, **changes)
    return lambda on_ready: run_live(
        options, on_ready=on_ready, credentials=keys, clock=clock, timer_seconds=TIMER_SECONDS
    )


def refuse_to_be_up(session: Session) -> None:
    raise AssertionError("the session should not have come up")


# --- in order -----------------------------------------------------------------------------------


async def test_a_live_session_trades_and_ends_in_order(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(run.is_active, "the session is active")
        await until(venue.loose_orders, "quotes rest at the venue")
        await until(lambda: venue.exchange.fills(MASTER.address), "an order is filled")
        status = await control_request(tmp_path / "state", "status")
        assert (status["mode"], status["account"]) == ("testnet", MASTER.address)
        outcome = await run.stop()

        assert venue.loose_orders() == []
        assert venue.exchange.conservation_error_micro() == 0
        assert outcome.exit_code is ExitCode.OK
        assert outcome.reason == "interrupted"
        assert outcome.record.fills
        known = {row.fill.tid for row in outcome.record.fills}
        assert known == {row.fill.tid for row in venue.exchange.fills(MASTER.address)}
        assert not (tmp_path / "state" / "control.sock").exists()
        replayed = replay_journal(outcome.journal_path)
        assert replayed.event_count == run.session.seq


async def test_no_secret_reaches_a_file(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(run.is_active, "the session is active")
        outcome = await run.stop()
    for file in outcome.directory.iterdir():
        assert AGENT_KEY.removeprefix("0x").encode() not in file.read_bytes(), file


async def test_a_session_ends_when_its_time_is_over(tmp_path: Path) -> None:
    async with local_venue() as venue:
        options = live_options(venue, tmp_path, mode=Mode.LIVE, consent=True, duration_s=0.1)
        outcome = await run_live(
            options,
            on_ready=lambda session: None,
            credentials=credentials(),
            clock=venue.clock,
            timer_seconds=TIMER_SECONDS,
        )
    assert (outcome.reason, outcome.exit_code) == ("duration reached", ExitCode.OK)
    assert outcome.record.mode is Mode.LIVE


async def test_the_control_socket_stops_a_session(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await control_request(tmp_path / "state", "stop", reason="asked by the tester")
        outcome = await run.task
    assert (outcome.reason, outcome.exit_code) == ("asked by the tester", ExitCode.OK)


async def test_an_operators_word_becomes_an_event(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")
        state = tmp_path / "state"
        await control_request(state, "operate", action="halt", who="tester", reason="a look")
        await until(lambda: not venue.loose_orders(), "the quotes are gone")
        assert run.session.status().trading_state is TradingState.HALTED
        assert await control_request(state, "config")
        assert await control_request(state, "pnl")
        with pytest.raises(ValueError, match="dance"):
            await control_request(state, "operate", action="dance")
        outcome = await run.stop()
    with JournalReader(outcome.journal_path) as reader:
        said = [e for e in reader.events() if getattr(e, "who", "") == "tester"]
    assert [(e.action.value, e.reason) for e in said] == [("halt", "a look")]


async def test_two_sessions_never_share_a_state_directory(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        with pytest.raises(PortInUseError, match="in use by a running session"):
            await live(venue, tmp_path)(refuse_to_be_up)
        assert await control_request(tmp_path / "state", "status"), "the first one is unharmed"
        assert (await run.stop()).exit_code is ExitCode.OK


# --- refused at the start -----------------------------------------------------------------------


async def test_live_without_the_second_yes_is_refused(tmp_path: Path) -> None:
    options = LiveOptions(mode=Mode.LIVE, state_dir=tmp_path / "state")
    with pytest.raises(ConsentError, match="asked for twice"):
        await run_live(options, on_ready=refuse_to_be_up, credentials=credentials())
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("key", "account", "text"),
    [
        (None, MASTER.address, "HYPERLIQUID_AGENT_KEY should be set"),
        ("0x1234", MASTER.address, "was 4 hex digits"),
        (MASTER.address, MASTER.address, "that is an address, not a key"),
        (AGENT_KEY, None, "HYPERLIQUID_ACCOUNT should be set"),
        (AGENT_KEY, "0x1234", "40 hex digits"),
    ],
    ids=["no key", "short key", "address as key", "no account", "short account"],
)
async def test_unusable_credentials_are_refused_before_the_venue_is_asked(
    key: str | None, account: str | None, text: str, tmp_path: Path
) -> None:
    options = LiveOptions(base_url="http://127.0.0.1:9", state_dir=tmp_path / "state")
    with pytest.raises(CredentialError, match=text):
        await run_live(options, on_ready=refuse_to_be_up, credentials=credentials(key, account))
    assert not (tmp_path / "state").exists()


async def test_a_key_the_venue_does_not_know_is_refused_with_both_addresses(
    tmp_path: Path,
) -> None:
    async with local_venue() as venue:
        keys = credentials(STRANGER_KEY)
        with pytest.raises(CredentialError) as caught:
            await live(venue, tmp_path, credentials=keys)(refuse_to_be_up)
    assert STRANGER.address in str(caught.value)
    assert MASTER.address in str(caught.value)
    assert STRANGER_KEY not in str(caught.value)


async def test_an_agent_of_another_account_is_refused_with_all_addresses(tmp_path: Path) -> None:
    async with local_venue() as venue:
        keys = credentials(AGENT_KEY, STRANGER.address)
        with pytest.raises(CredentialError) as caught:
            await live(venue, tmp_path, credentials=keys)(refuse_to_be_up)
    for address in (AGENT.address, MASTER.address, STRANGER.address):
        assert address in str(caught.value)


@pytest.mark.parametrize("seconds", [-300.0, 300.0])
async def test_a_clock_that_is_minutes_off_is_refused(seconds: float, tmp_path: Path) -> None:
    async with local_venue() as venue:
        clock = venue.skewed(seconds)
        with pytest.raises(ClockSkewError, match=r"set it by NTP"):
            await live(venue, tmp_path, clock=clock)(refuse_to_be_up)
        assert not venue.open_orders()


async def test_a_venue_that_is_not_there_is_told_with_its_address(tmp_path: Path) -> None:
    async with local_venue() as venue:
        await venue.stop()
        with pytest.raises(VenueError, match=f"{venue.base_url}.*check the network"):
            await live(venue, tmp_path)(refuse_to_be_up)


async def test_a_start_that_fails_half_way_leaves_nothing_running(tmp_path: Path) -> None:
    """The first thing asked for once the feed stands, the fills, is never answered."""
    broken = FaultPlan([FaultRule(route="info", kind="userFillsByTime", fault="broken", times=35)])
    async with local_venue(faults=broken) as venue:
        tasks_before = asyncio.all_tasks()
        with pytest.raises(VenueError, match="502"):
            await live(venue, tmp_path)(refuse_to_be_up)
        names = {task.get_name() for task in asyncio.all_tasks() - tasks_before}
        assert "websocket feed" not in names
        assert not (tmp_path / "state" / "control.sock").exists()
    (journal,) = (tmp_path / "state").glob("*/journal.sqlite")
    with JournalReader(journal) as reader:
        events = list(reader.events())
    assert isinstance(events[0], SessionStarted)
    assert isinstance(events[-1], SessionEnded)


# --- trouble on the way -------------------------------------------------------------------------


async def test_an_exchange_that_goes_and_returns_is_taken_up_again(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")
        await venue.stop()
        await until(lambda: not run.is_active(), "the session notices")
        assert not run.task.done()
        placed = len(venue.exchange.historical_orders(MASTER.address))
        assert placed

        await venue.start()
        await until(run.is_active, "the session is active again")
        await until(venue.loose_orders, "quotes rest again")
        await until(
            lambda: (
                {o.oid for o in run.session.status().orders} == {o.oid for o in venue.open_orders()}
            ),
            "session and venue agree on what is open",
        )
        open_orders = venue.open_orders()
        places = {(o.is_buy, o.px, o.reduce_only) for o in open_orders}
        assert len(places) == len(open_orders), "no order is there twice"

        outcome = await run.stop()
        assert venue.loose_orders() == []
    assert outcome.exit_code is ExitCode.OK
    assert replay_journal(outcome.journal_path).step_count > 0


async def test_history_that_failed_after_a_reconnect_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, failures = HyperliquidAPI.fetch_candles, []

    async def fail_once(self: HyperliquidAPI, *args: Any) -> Any:
        if not failures:
            failures.append(args)
            raise VenueError("history should be answered, was 503")
        return await fetch(self, *args)

    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")
        monkeypatch.setattr(HyperliquidAPI, "fetch_candles", fail_once)
        await venue.stop()
        await until(lambda: not run.is_active(), "the session notices")
        await venue.start()
        await until(lambda: failures, "history fails once")
        await until(run.is_active, "the session is active again")
        await until(venue.loose_orders, "quotes rest again")
        await run.stop()


@pytest.mark.parametrize("vault", [None, STRANGER.address])
async def test_the_client_gets_the_request_cap_and_the_vault(
    vault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def record(*args: Any, **fields: Any) -> Any:
        given.update(fields)
        raise VenueError("looked at enough")

    files = config_files(tmp_path)
    files["trading_path"].write_text('{"requests_per_minute_max": 60}')
    env = {"HYPERLIQUID_AGENT_KEY": AGENT_KEY, "HYPERLIQUID_ACCOUNT": MASTER.address}
    keys = CredentialManager(env | ({"HYPERLIQUID_VAULT": vault} if vault else {}), paths=())
    monkeypatch.setattr("core.runtime.live.HyperliquidAPI", record)
    monkeypatch.setattr("core.runtime.paper.HyperliquidAPI", record)
    with pytest.raises(VenueError, match="enough"):
        await run_live(LiveOptions(**files), on_ready=refuse_to_be_up, credentials=keys)
    assert given["requests_per_minute_max"] == 60
    assert (given["account"], given["vault_address"]) == (vault or MASTER.address, vault)
    given.clear()
    with pytest.raises(VenueError, match="enough"):
        await run_paper(PaperOptions(**files), on_ready=refuse_to_be_up)
    assert given["requests_per_minute_max"] == 60


async def test_a_session_can_be_stopped_while_the_exchange_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wired, "STOP_WALL_SECONDS_MAX", 0.5)
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")
        await venue.stop()
        await until(lambda: not run.is_active(), "the session notices")
        outcome = await run.stop()
    assert (outcome.reason, outcome.exit_code) == ("interrupted", ExitCode.OK)
    with JournalReader(outcome.journal_path) as reader:
        assert isinstance(list(reader.events())[-1], SessionEnded)


async def test_a_full_disk_cancels_at_the_venue_and_ends_the_session(tmp_path: Path) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")

        # The file may not grow beyond the size it has.
        run.session._journal._db.execute("PRAGMA max_page_count = 1")
        outcome = await run.task
        assert venue.loose_orders() == []
    assert outcome.exit_code is ExitCode.JOURNAL
    assert outcome.reason.startswith("journal failed: journal should take new rows")
    assert "disk is full" in outcome.reason


async def test_an_invariant_broken_by_the_feed_ends_the_session_with_its_error(
    tmp_path: Path,
) -> None:
    async with local_venue() as venue, running(live(venue, tmp_path)) as run:
        await until(venue.loose_orders, "quotes rest at the venue")

        def break_down(event: object) -> None:
            raise AssertionError("invariant: the sum is 0, was 1")

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        run.session.engine._handlers[BboChanged] = break_down
        with pytest.raises(AssertionError, match="the sum is 0, was 1"):
            await run.task
        assert venue.loose_orders() == []
    (journal,) = (tmp_path / "state").glob("*/journal.sqlite")
    with JournalReader(journal) as reader:
        assert isinstance(list(reader.events())[-1], BboChanged), "the event that broke it"


# --- paper --------------------------------------------------------------------------------------


async def test_paper_trades_on_public_data_and_ends_flat(tmp_path: Path) -> None:
    options = PaperOptions(state_dir=tmp_path / "state", **config_files(tmp_path))
    async with local_venue(usdc=0) as venue:
        options = msgspec.structs.replace(options, base_url=venue.base_url)

        def paper(on_ready: Callable[[Session], None]) -> Any:
            return run_paper(
                options, on_ready=on_ready, clock=venue.clock, timer_seconds=TIMER_SECONDS
            )

        async with running(paper) as run:
            await until(run.is_active, "the session is active")
            await until(lambda: run.session.status().orders, "quotes rest on paper")
            await until(lambda: run.session.status().fills, "a paper order is filled")
            outcome = await run.stop()
            assert run.session.engine.is_flat
            assert run.session.status().orders == ()
        assert list(venue.exchange.owners()) == [], "the venue never heard of the account"
    assert (outcome.reason, outcome.exit_code) == ("interrupted", ExitCode.OK)
    assert outcome.record.mode is Mode.PAPER
    assert outcome.record.assumptions
    assert sum(f.fill.signed_lots for f in outcome.record.fills) == 0
    assert replay_journal(outcome.journal_path).event_count == run.session.seq
