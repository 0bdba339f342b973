"""The simulated exchange on loopback: Hyperliquid's paths, words and timing, with play money.

``POST /info``, ``POST /exchange`` and ``/ws`` speak the venue's wire, so that the real client, the
official SDK and other tools talk to it unmodified. The faucet, the clock, the faults and the page
at ``/`` are its own. It holds no rule of the market: it connects the pump, the desks and the hub
to HTTP. All of it can be used in process too, without a port.

Run as ``python -m core.simulation.server --help``.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from core.model.errors import ConfigError, GridError, PortInUseError
from core.model.instrument import MICRO_PER_USDC, decimal_units
from core.model.ports import Clock
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.source import MarketSource
from core.simulation.venue import texts
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.connections import Connection
from core.simulation.wire.exchange_desk import ExchangeDesk
from core.simulation.wire.facts import collect
from core.simulation.wire.faults import Fault, FaultPlan, Struck
from core.simulation.wire.http_app import HttpApp
from core.simulation.wire.hub import Hub
from core.simulation.wire.info_desk import InfoDesk
from core.simulation.wire.ip_budget import (
    WEIGHT_PER_MINUTE,
    IpBudget,
    action_weight,
    info_weight,
    rows_weight,
)
from core.simulation.wire.latency import LatencyModel, LatencySettings
from core.simulation.wire.options import PORT_DEFAULT
from core.simulation.wire.pump import MarketPump, VenueBusyError, resolve
from core.simulation.wire.request_faults import execute_partly
from core.simulation.wire.requests import (
    TOO_DEEP,
    TOO_MANY_REQUESTS,
    Answer,
    RequestError,
    decode_envelope,
    decode_query,
    error_body,
    json_answer,
    unparseable,
)
from core.simulation.wire.socket_limits import SocketSettings
from core.simulation.wire.socket_room import SocketRoom
from core.simulation.wire.socket_session import SocketSession
from core.simulation.wire.status_page import VenueFacts
from core.simulation.wire.time_drivers import TimeDriver
from core.simulation.wire.time_mode import TimeMode
from core.utils.clock import ManualClock

BACKLOG = 1_024
TOKENS_FUNDED_MAX = 10**12
_DEFAULT_SOCKETS = SocketSettings()


class VenueServer:
    """Serve one simulated exchange.

    Parameters
    ----------
    exchange : SimulatedExchange
        The venue core; the server is its only driver from now on.
    source : MarketSource
        The market to play.
    clock : Clock
        The venue's clock.
    host, port : str, int
        Where to listen; port 0 takes a free one.
    faults : FaultPlan or None
        Planned trouble, in force from now on.
    seed : int
        Seeds the latencies.
    weight_max : int
        Request weight per IP address and minute of the venue.
    sockets : SocketSettings
        Limits of websockets and cadences of their streams.
    latency : LatencySettings or None
        How long messages travel; those of a home connection by default.
    time_mode : TimeMode
        Who moves the clock; any but `TimeMode.RUNNING` needs a `ManualClock` that nobody else
        moves.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        source: MarketSource,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = PORT_DEFAULT,
        faults: FaultPlan | None = None,
        seed: int = 7,
        is_mainnet: bool = False,
        weight_max: int = WEIGHT_PER_MINUTE,
        sockets: SocketSettings = _DEFAULT_SOCKETS,
        latency: LatencySettings | None = None,
        time_mode: TimeMode = TimeMode.RUNNING,
    ) -> None:
        self._exchange, self._source, self._clock = exchange, source, clock
        self._host, self._port = host, port
        self._board = MarketBoard(source, exchange)
        hub = Hub(self._board, exchange, sockets.channels)
        model = LatencyModel(seed, latency)
        self.pump = MarketPump(exchange, source, self._board, hub, clock, model)
        self._hub = hub
        self.sockets = SocketRoom(
            sockets, clock, plan=lambda: self.faults, call_at=self.pump.call_at
        )
        self._driver = self._new_driver(clock, time_mode)
        self._desk = ExchangeDesk(exchange, is_mainnet=is_mainnet)
        self._info = InfoDesk(exchange, self._board)
        self._by_asset = {i.asset: i for i in exchange.instruments.values()}
        self._budget = IpBudget(weight_max)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._failure: asyncio.Future[None] | None = None
        self.faults = FaultPlan()
        self.set_faults(faults or self.faults)

    def _new_driver(self, clock: Clock, time_mode: TimeMode) -> TimeDriver | None:
        if time_mode is TimeMode.RUNNING:
            return None
        assert isinstance(clock, ManualClock), f"invariant: a clock that can be moved, was {clock}"
        driver = TimeDriver(clock, self.pump, time_mode, lambda: self.sockets.is_crowded)
        self.pump.wake_at = driver.wake_at
        return driver

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> int:
        """Listen and begin to play the market; return the port.

        Raises
        ------
        PortInUseError
            If the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        self.pump.on_failure = self._fail
        app = HttpApp(self).application()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise PortInUseError(
                f"port {self._port} on {self._host} should be free, was in use or not permitted; "
                "choose another with --port, or 0 for any free one"
            ) from error
        self._port = int(self._runner.addresses[0][1])
        work = self.pump.run() if self._driver is None else self._driver.run()
        task = loop.create_task(work)
        task.add_done_callback(self._task_done)
        self._tasks.append(task)
        return self._port

    async def stop(self) -> None:
        """Stop playing, end all connections and free the port."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.pump.close()
        self.sockets.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def failed(self) -> None:
        """Wait for a broken invariant in the venue, and raise it."""
        assert self._failure is not None, "invariant: the server was started"
        await asyncio.shield(self._failure)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    # --- the venue's two paths, and sockets ----------------------------------------------------

    async def info(self, raw: bytes, ip: str = "127.0.0.1") -> Answer:
        """Answer one query of ``/info``."""
        try:
            query = decode_query(raw)
            kind = query["type"]
            if not self._budget.use(ip, info_weight(kind), self._clock.now_ns()):
                return TOO_MANY_REQUESTS
            data = await self.pump.read(lambda now_ns: self._info.answer(query, now_ns))
        except RequestError as error:
            return unparseable(str(error))
        if isinstance(data, list):
            self._budget.add(ip, rows_weight(kind, len(data)), self._clock.now_ns())
        return json_answer(data)

    async def exchange(
        self, raw: bytes, ip: str = "127.0.0.1", fault: Fault | None = None
    ) -> Answer:
        """Carry out one action of ``/exchange``.

        Parameters
        ----------
        fault : Fault or None
            Trouble that changes what is carried out: ``revoked_agent``, ``partial_batch``.
        """
        try:
            signed = self._desk.read(decode_envelope(raw))
        except RequestError as error:
            return unparseable(str(error))
        except RecursionError:
            return unparseable(TOO_DEEP)
        if not self._budget.use(ip, action_weight(signed.count), self._clock.now_ns()):
            return TOO_MANY_REQUESTS
        name = None if fault is None else fault.rule.fault
        if name == "revoked_agent":
            return json_answer(error_body(texts.signer_unknown(signed.signer)))
        try:
            if name == "partial_batch":
                body = await self.pump.submit(
                    lambda now_ns: execute_partly(self._desk, signed, now_ns, self._by_asset)
                )
            else:
                body = await self.pump.submit(lambda now_ns: self._desk.execute(signed, now_ns))
        except VenueBusyError:
            return TOO_MANY_REQUESTS
        return json_answer(body)

    def open_session(self, connection: Connection, ip: str = "127.0.0.1") -> SocketSession:
        """Begin a websocket session whose frames go to ``connection``."""
        share = self.sockets.share(ip)
        return SocketSession(connection, self._hub, self.pump, self, share=share, ip=ip)

    # --- play money ----------------------------------------------------------------------------

    def fund(self, user: str, amount: str, token: str = "") -> None:
        """Give an account play money before the server starts.

        Parameters
        ----------
        amount : str
            Decimal text: USDC, or tokens where ``token`` names one.

        Raises
        ------
        ConfigError
            If the token is unknown or the amount does not fit it.
        """
        if not token:
            self._exchange.fund(user, round(float(amount) * MICRO_PER_USDC))
            return
        problem = self.faucet_token(user, token, amount)
        if problem is not None:
            raise ConfigError([f"--fund {user}={amount}{token}: {problem}"])

    def faucet(self, user: str, usd: float) -> None:
        """Give an account play money, at once."""
        self.pump.step()
        self._exchange.fund(user, round(usd * MICRO_PER_USDC))
        self.pump.publish_outputs(self._exchange.now_ns)

    def faucet_token(self, user: str, name: str, amount: str) -> str | None:
        """Give an account a spot token, at once; return what is wrong with the request, if so."""
        token = self._exchange.spot.token_named(name)
        if token is None:
            return f"token should be one of spotMeta, was {name!r}"
        try:
            wei = decimal_units(amount, token.wei_decimals, "amount")
        except (GridError, ArithmeticError, ValueError):
            wei = 0
        if not 0 < wei <= TOKENS_FUNDED_MAX * 10**token.wei_decimals:
            return (
                f"amount of {name} should be above 0, at most {TOKENS_FUNDED_MAX} and have at most "
                f"{token.wei_decimals} decimals, was {amount!r}"
            )
        self.pump.step()
        self._exchange.spot.fund(user, token.index, wei)
        self.pump.publish_outputs(self._exchange.now_ns)
        return None

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins that have a market here."""
        return self._source.coins

    @property
    def info_types(self) -> frozenset[str]:
        """The query types that are answered."""
        return self._info.types

    # --- time ----------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The venue's time."""
        return self._clock.now_ns()

    @property
    def time_mode(self) -> TimeMode:
        """Who moves the venue's time."""
        return TimeMode.RUNNING if self._driver is None else self._driver.mode

    async def move_clock(self, target_ns: int) -> int:
        """Move time that is moved by hand forward to a moment; return the new time."""
        assert self._driver is not None, "invariant: the clock is moved by hand"
        return await self._driver.move_to(target_ns)

    def note_request(self) -> None:
        """Hear that a client has asked for something: from then on unpaced time passes."""
        if self._driver is not None:
            self._driver.begin()

    async def pause(self, span_ns: int) -> None:
        """Wait for a span of the venue's time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ns = self._clock.now_ns() + span_ns
        self.pump.call_at(due_ns, partial(resolve, done, None), is_awaited=True)
        await done

    def clock_facts(self) -> dict[str, Any]:
        """Return how time moves here, and how to read the same time elsewhere."""
        clock = self._clock
        return {
            "mode": self.time_mode.value,
            "start_ns": getattr(clock, "start_ns", self._source.start_ns),
            "speed": getattr(clock, "speed", 1.0 if self._driver is None else 0.0),
            "anchor_monotonic_ns": getattr(clock, "anchor_monotonic_ns", 0),
            "now_ns": clock.now_ns(),
            "end_ns": self._source.end_ns,
            "assumptions": list(self._source.assumptions),
        }

    # --- faults --------------------------------------------------------------------------------

    def set_faults(self, plan: FaultPlan) -> None:
        """Put a plan in force instead of the present one; its times count from now.

        Raises
        ------
        ConfigError
            If it halts a coin that is not listed.
        """
        for i, rule in enumerate(plan.rules):
            if rule.fault == "halt" and rule.kind not in self._exchange.instruments:
                raise ConfigError(
                    [f"faults: rules[{i}].kind: expected a listed coin, was {rule.kind!r}"]
                )
        plan.begin(self._clock.now_ns())
        self.faults = plan
        self._await_fault(plan)

    @property
    def faults_struck(self) -> tuple[Struck, ...]:
        """Every fault of the plan in force that happened, oldest first."""
        return self.faults.struck

    def _await_fault(self, plan: FaultPlan) -> None:
        if plan.next_ns is not None:
            self.pump.call_at(plan.next_ns, partial(self._strike, plan))

    def _strike(self, plan: FaultPlan) -> None:
        """Let the timed faults happen that are due, unless another plan is in force by now."""
        if plan is not self.faults:
            return
        states = self._exchange.market_states
        for fault in plan.due(self._clock.now_ns()):
            match fault.rule.fault:
                case "cut":
                    self.sockets.cut()
                case "halt" if fault.is_end:
                    states.resume(fault.rule.kind)
                case "halt":
                    states.halt(fault.rule.kind)
                case _:
                    assert fault.until_ns is not None, "invariant: a window has an end"
                    states.begin_post_only(fault.until_ns)
        self._await_fault(plan)

    # --- for people ----------------------------------------------------------------------------

    def facts(self, counts: Mapping[str, int]) -> VenueFacts:
        """Return what the page shows."""
        return collect(
            self._exchange,
            self._board,
            clock=self.clock_facts(),
            plan=self.faults,
            tick_count=self.pump.tick_count,
            connection_count=self.sockets.count,
            request_counts=counts,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulated exchange as a process of its own; `core.simulation.wire.process`."""
    from core.simulation.wire.process import main as run

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
