"""The simulated exchange as a process of its own: from its options to its orderly end.

It prints one JSON line when it serves, for programs that started it, and answers errors a person
can act on with one message and their exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from core.model.errors import NovaError
from core.model.ports import Clock
from core.model.time import NS_PER_DAY, NS_PER_MIN
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candle_source import TICKS_PER_BAR
from core.simulation.market.open import SAMPLE, SYNTHETIC, open_market
from core.simulation.market.sample_source import SAMPLE_START_NS
from core.simulation.market.shifted_source import ShiftedSource, days_between
from core.simulation.market.source import MarketSource
from core.simulation.server import VenueServer
from core.simulation.wire.fault_files import load_plan
from core.simulation.wire.ip_budget import WEIGHT_PER_MINUTE
from core.simulation.wire.latency import NO_LATENCY
from core.simulation.wire.options import TODAY, ExchangeOptions, parse
from core.simulation.wire.socket_limits import SocketSettings
from core.simulation.wire.time_mode import TimeMode
from core.utils.clock import ManualClock, ScaledClock

PARENT_CHECK_SECONDS = 1.0
SPEED_SLOW = 60.0
TICKS_PER_BAR_SLOW = 30
"""Up to `SPEED_SLOW` the market moves every two seconds; above it, every ten."""
GC_THRESHOLDS = (50_000, 20, 50)
UNLIMITED = 1 << 60
UNLIMITED_SOCKETS = SocketSettings(
    connections_max=UNLIMITED,
    connections_per_minute=UNLIMITED,
    subscriptions_max=UNLIMITED,
    users_max=UNLIMITED,
    posts_max=10_000,
    messages_per_minute=UNLIMITED,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the exchange until it is told to stop.

    Prints one JSON line on standard output when it serves. Returns the exit code: 0 after a stop
    in order, else that of the error (11 if the port is taken).
    """
    if not __debug__:
        raise SystemExit("the simulated exchange refuses to run under python -O")
    options = parse(argv)
    import uvloop

    try:
        uvloop.run(_serve(options))
    except NovaError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 0
    return 0


def build_server(options: ExchangeOptions) -> VenueServer:
    """Return a server as the options ask for it, not yet started.

    Raises
    ------
    DataFileError
        If the market cannot be played as asked.
    ConfigError
        If the fault plan is wrong.
    """
    source = open_source(options)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    mode = options.time_mode
    clock: Clock = ManualClock(source.start_ns)
    if options.time_mode is TimeMode.RUNNING:
        assert options.speed is not None, "invariant: a running clock has a speed"
        clock = ScaledClock(source.start_ns, options.speed, time.monotonic_ns())
    latency = options.latency
    if latency is None and mode is TimeMode.MANUAL:
        latency = NO_LATENCY
    server = VenueServer(
        exchange,
        source,
        clock,
        host=options.host,
        port=options.port,
        faults=None if options.faults is None else load_plan(options.faults),
        seed=options.seed,
        weight_max=UNLIMITED if options.no_ip_limits else WEIGHT_PER_MINUTE,
        sockets=UNLIMITED_SOCKETS if options.no_ip_limits else SocketSettings(),
        latency=latency,
        time_mode=mode,
    )
    for funding in options.fund:
        server.fund(funding.address, funding.amount, funding.token)
    return server


def open_source(options: ExchangeOptions) -> MarketSource:
    """Return the market to play, moved to today's date where that is asked for.

    Candles are then played from the present time of day on; other recordings keep theirs.
    """
    is_paced = options.time_mode is TimeMode.RUNNING and options.speed == 1.0
    is_today = options.start == TODAY or (options.start is None and is_paced)
    start_ns = options.start if isinstance(options.start, int) else None
    now_ns, kind = time.time_ns(), options.market.partition(":")[0]
    offset_ns = 0
    if is_today and kind == SAMPLE:
        offset_ns = days_between(SAMPLE_START_NS, now_ns)
        start_ns = now_ns - offset_ns if is_paced else None
    elif is_today and kind == SYNTHETIC:
        start_ns = now_ns - now_ns % NS_PER_MIN if is_paced else now_ns - now_ns % NS_PER_DAY
    is_slow = options.speed is not None and options.speed <= SPEED_SLOW
    source = open_market(
        options.market,
        seed=options.seed,
        start_ns=start_ns,
        coins=options.coins,
        ticks_per_bar=TICKS_PER_BAR_SLOW if is_slow else TICKS_PER_BAR,
        with_spot=not options.perps_only,
    )
    if is_today and kind not in (SAMPLE, SYNTHETIC):
        offset_ns = days_between(source.start_ns, now_ns)
    return ShiftedSource(source, offset_ns) if offset_ns else source


async def _serve(options: ExchangeOptions) -> None:
    _raise_file_limit()
    told = _told()
    server = build_server(options)
    port = await server.start()
    # What exists now lives as long as the process, and what comes rarely makes circles: looking
    # less often leaves a fifth more time for orders.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    facts = server.clock_facts()
    ready = {
        "ready": True,
        "port": port,
        "base_url": f"http://{options.host}:{port}",
        "coins": list(server.coins),
        "speed": facts["speed"],
        "clock": facts["mode"],
        "start_ns": facts["start_ns"],
        "end_ns": facts["end_ns"],
    }
    print(msgspec.json.encode(ready).decode(), flush=True)
    try:
        await _until(told, server, with_parent=options.end_with_parent)
    finally:
        await server.stop()


def _raise_file_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _told() -> asyncio.Event:
    """Return what a signal to stop sets from now on."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    return told


async def _until(told: asyncio.Event, server: VenueServer, *, with_parent: bool) -> None:
    """Wait for a signal, the parent's end where asked, or a broken invariant (which raises)."""
    loop = asyncio.get_running_loop()
    waits: list[asyncio.Task[Any]] = [
        loop.create_task(told.wait()),
        loop.create_task(server.failed()),
    ]
    if with_parent:
        waits.append(loop.create_task(_parent_end()))
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()


async def _parent_end() -> bool:
    """Return when the process that started this one is gone, so that no venue is left behind."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    return True
