"""Run one session over the wire from first event to final report; demo and live share it.

A session of an account that outlives it begins where the last one of that account ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.model.codes import Mode
from core.model.errors import VenueError
from core.model.events import StateCarried
from core.model.ports import Clock
from core.model.settings import EngineConfig
from core.model.step import Step
from core.model.time import NS_PER_S
from core.runtime import compose
from core.runtime.account_home import AccountHome, home_name
from core.runtime.control import ControlServer, ensure_free, session_handlers
from core.runtime.incidents import incident_writer
from core.runtime.links import LinkFactory, TradingLink, WireLink
from core.runtime.options import Outcome
from core.runtime.recovery import Recovered, recover
from core.runtime.session import Session
from core.runtime.snapshots import SnapshotStore
from core.runtime.wired import WiredRun
from core.utils.logger import Logger
from core.utils.logger import configure as configure_log

LOG_NAME = "nova.log"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes one wired run from another.

    ``link`` makes the trading half of the connection; ``user_feed`` is the address whose
    private channels are subscribed. ``network`` names the venue whose account outlives the
    session, ``None`` if none does; with ``continues_ended`` a session that ended in order is
    continued too, not only one that died. ``ends`` lists things that end the run when they happen,
    each returning the reason, or raising `VenueError` if it is a bad one.
    """

    mode: Mode
    config: EngineConfig
    account: str
    user_feed: str | None
    link: Callable[[Session, StateCarried | None], TradingLink]
    ws_url: str
    clock: Clock
    state_dir: Path
    timer_seconds: float
    flatten_on_stop: bool
    network: str | None = None
    continues_ended: bool = True
    duration_s: float | None = None
    seed: int = 0
    assumptions: tuple[str, ...] = ()
    ends: tuple[Callable[[], Awaitable[str]], ...] = ()


def wire_link(api: HyperliquidAPI, config: EngineConfig) -> LinkFactory:
    """Return what connects a session to the venue itself."""
    ttl_ns = int(config.trading.action_ttl_seconds * NS_PER_S)
    return lambda emit: WireLink(api, emit, ttl_ns=ttl_ns)


async def run_launch(
    launch: Launch, api: HyperliquidAPI, *, on_ready: Callable[[Session], None]
) -> Outcome:
    """Run a connected client's session to its end and read the outcome from the journal.

    Raises
    ------
    PortInUseError
        If another program trades the account, or runs in the state directory.
    JournalError
        If what the account's last session left cannot be told exactly.
    """
    await ensure_free(launch.state_dir)
    with contextlib.ExitStack() as stack:
        home = None
        if launch.network is not None:
            name = home_name(launch.network, launch.account)
            home = stack.enter_context(AccountHome(launch.state_dir, name))
        return await _run_session(launch, api, home, on_ready)


async def _run_session(
    launch: Launch,
    api: HyperliquidAPI,
    home: AccountHome | None,
    on_ready: Callable[[Session], None],
) -> Outcome:
    carried = _left_before(launch, home)
    carried_event = None if carried is None else carried.event()
    name = compose.session_name(launch.mode)
    directory = compose.session_directory(launch.state_dir, name)
    configure_log(file=directory / LOG_NAME, to_stderr=False)
    session = compose.build_session(
        mode=launch.mode,
        config=launch.config,
        account=launch.account,
        clock=launch.clock,
        directory=directory,
        seed=launch.seed,
        on_step=_watchers(directory, launch.clock),
        carried=carried_event,
        snapshots=None if home is None else SnapshotStore(directory, session=directory.name),
    )
    if home is not None:
        home.begin(directory.name)
    if carried is not None:
        _tell(carried)
    handlers = session_handlers(
        session,
        config=msgspec.to_builtins(launch.config),
        # Reads the whole journal: off the loop, or trading would wait for it.
        pnl=lambda: asyncio.to_thread(compose.pnl_report, directory),
    )
    control = ControlServer(launch.state_dir, handlers)
    try:
        await control.start()
        link = launch.link(session, carried_event)
        run = _wired(launch, session, api, link)
        await _run_until_end(launch, session, run, on_ready)
    finally:
        await control.close()
        session.close(session.stop_reason or "failed")
    return compose.outcome_of(session, directory, assumptions=launch.assumptions)


def _left_before(launch: Launch, home: AccountHome | None) -> Recovered | None:
    """Return what the account's last session left, if this one is to continue it."""
    last = None if home is None else home.last_session()
    if last is None:
        return None
    left = recover(last)
    return left if launch.continues_ended or not left.is_ended else None


def _tell(carried: Recovered) -> None:
    logger = Logger("recovery")
    logger.info(
        "continued",
        session=carried.session,
        at_seq=carried.at_seq,
        replayed=carried.replayed_count,
        is_ended=carried.is_ended,
    )
    for note in carried.notes:
        logger.warning("recovery", session=carried.session, detail=note)


def _watchers(directory: Path, clock: Clock) -> Callable[[Step], None]:
    """Return what sees every step that is not quiet: the log, and the incident file."""
    log = compose.step_logger(Logger("session"))
    write_incident = incident_writer(directory, clock)

    def see(step: Step) -> None:
        log(step)
        write_incident(step)

    return see


def _wired(launch: Launch, session: Session, api: HyperliquidAPI, link: TradingLink) -> WiredRun:
    return WiredRun(
        session,
        api,
        link,
        ws_url=launch.ws_url,
        account=launch.user_feed,
        params=launch.config.trading,
        clock=launch.clock,
        timer_seconds=launch.timer_seconds,
        flatten_on_stop=launch.flatten_on_stop,
    )


async def _run_until_end(
    launch: Launch, session: Session, run: WiredRun, on_ready: Callable[[Session], None]
) -> None:
    failures: list[VenueError] = []

    async def watch(end: Callable[[], Awaitable[str]]) -> None:
        try:
            reason = await end()
        except VenueError as error:
            failures.append(error)
            reason = str(error)
        session.request_stop(reason)

    watchers = [asyncio.create_task(watch(end)) for end in launch.ends]
    try:
        await run.run(duration_s=launch.duration_s, on_ready=on_ready)
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    if failures:
        raise failures[0]
