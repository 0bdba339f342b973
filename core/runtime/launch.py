"""Run one session over the wire from first event to final report; demo and live share it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.model.codes import Mode
from core.model.errors import VenueError
from core.model.ports import Clock
from core.model.settings import EngineConfig
from core.model.step import Step
from core.model.time import NS_PER_S
from core.runtime import compose
from core.runtime.control import ControlServer, ensure_free, session_handlers
from core.runtime.incidents import incident_writer
from core.runtime.links import LinkFactory, WireLink
from core.runtime.options import Outcome
from core.runtime.session import Session
from core.runtime.wired import WiredRun
from core.utils.logger import Logger
from core.utils.logger import configure as configure_log

LOG_NAME = "nova.log"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes one wired run from another.

    ``link`` makes the trading half of the connection; ``user_feed`` is the address whose
    private channels are subscribed. ``ends`` lists things that end the run when they happen,
    each returning the reason, or raising `VenueError` if it is a bad one.
    """

    mode: Mode
    config: EngineConfig
    account: str
    user_feed: str | None
    link: LinkFactory
    ws_url: str
    clock: Clock
    state_dir: Path
    timer_seconds: float
    flatten_on_stop: bool
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
    """Run a connected client's session to its end and read the outcome from the journal."""
    await ensure_free(launch.state_dir)
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
    )
    handlers = session_handlers(
        session,
        config=msgspec.to_builtins(launch.config),
        # Reads the whole journal: off the loop, or trading would wait for it.
        pnl=lambda: asyncio.to_thread(compose.pnl_report, directory),
    )
    control = ControlServer(launch.state_dir, handlers)
    try:
        await control.start()
        run = _wired(launch, session, api)
        await _run_until_end(launch, session, run, on_ready)
    finally:
        await control.close()
        session.close(session.stop_reason or "failed")
    return compose.outcome_of(session, directory, assumptions=launch.assumptions)


def _watchers(directory: Path, clock: Clock) -> Callable[[Step], None]:
    """Return what sees every step that is not quiet: the log, and the incident file."""
    log = compose.step_logger(Logger("session"))
    write_incident = incident_writer(directory, clock)

    def see(step: Step) -> None:
        log(step)
        write_incident(step)

    return see


def _wired(launch: Launch, session: Session, api: HyperliquidAPI) -> WiredRun:
    return WiredRun(
        session,
        api,
        launch.link(session.emit),
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
