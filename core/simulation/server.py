"""The simulated exchange on loopback: Hyperliquid's paths, words and timing, with play money.

``POST /info``, ``POST /exchange`` and ``/ws`` speak the venue's wire, so that the real client, the
official SDK and other tools talk to it unmodified. ``/faucet``, ``/clock`` and the page at ``/``
are its own. It holds no rule of the market: it connects the pump, the desks and the hub to HTTP.

Run as ``python -m core.simulation.server --help``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from core.model.errors import NovaError, PortInUseError
from core.model.ids import is_address
from core.model.instrument import MICRO_PER_USDC
from core.model.ports import Clock
from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.source import MarketSource
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.connections import Connection
from core.simulation.wire.exchange_desk import ExchangeDesk
from core.simulation.wire.faults import Fault, FaultPlan
from core.simulation.wire.hub import Hub
from core.simulation.wire.info_desk import InfoDesk
from core.simulation.wire.ip_budget import (
    WEIGHT_PER_MINUTE,
    IpBudget,
    action_weight,
    info_weight,
    rows_weight,
)
from core.simulation.wire.latency import LatencyModel
from core.simulation.wire.pump import MarketPump, VenueBusyError
from core.simulation.wire.requests import (
    TOO_MANY_REQUESTS,
    Answer,
    RequestError,
    decode_envelope,
    decode_query,
    json_answer,
    unparseable,
)
from core.simulation.wire.socket_session import SocketSession
from core.simulation.wire.status_page import VenueFacts, render
from core.simulation.wire.text import px_text, usd_text
from core.utils.clock import ScaledClock

BODY_BYTES_MAX = 1024 * 1024
CONNECTIONS_PER_IP_MAX = 10
FAUCET_USD_MAX = 1_000_000_000
PARENT_CHECK_SECONDS = 1.0
PORT_MAX = 65_535
PORT_DEFAULT = 3001
"""The port that the official SDK calls local."""
SPEED_SLOW = 60.0
TICKS_PER_BAR_SLOW = 30
"""Up to `SPEED_SLOW` the market moves every two seconds; above it, every ten."""
_HEADERS = {"access-control-allow-origin": "*"}


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
        Planned trouble.
    seed : int
        Seeds the latencies.
    weight_max : int
        Request weight per IP address and minute of the venue.
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
    ) -> None:
        self._exchange, self._source, self._clock = exchange, source, clock
        self._host, self._port = host, port
        self._faults = faults or FaultPlan()
        self._board = MarketBoard(source, exchange)
        self._hub = Hub(self._board, exchange)
        self.pump = MarketPump(exchange, source, self._board, self._hub, clock, LatencyModel(seed))
        self._desk = ExchangeDesk(exchange, is_mainnet=is_mainnet)
        self._info = InfoDesk(exchange, self._board)
        self._budget = IpBudget(weight_max)
        self._counts = {"exchange": 0, "info": 0}
        self._connections: dict[Connection, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._failure: asyncio.Future[None] | None = None

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
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
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
        for work in (self.pump.run(), self._cut_sockets()):
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
        for connection in list(self._connections):
            connection.cut()
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

    async def _cut_sockets(self) -> None:
        for moment_ns in self._faults.sockets_cut_ns:
            await self._clock.sleep((moment_ns - self._clock.now_ns()) / NS_PER_S)
            for connection in list(self._connections):
                connection.cut()

    # --- the venue's two paths -----------------------------------------------------------------

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

    async def exchange(self, raw: bytes, ip: str = "127.0.0.1") -> Answer:
        """Carry out one action of ``/exchange``."""
        try:
            signed = self._desk.read(decode_envelope(raw))
        except RequestError as error:
            return unparseable(str(error))
        if not self._budget.use(ip, action_weight(signed.count), self._clock.now_ns()):
            return TOO_MANY_REQUESTS
        try:
            body = await self.pump.submit(lambda now_ns: self._desk.execute(signed, now_ns))
        except VenueBusyError:
            return TOO_MANY_REQUESTS
        return json_answer(body)

    def faucet(self, user: str, usd: float) -> None:
        """Give an account play money, at once."""
        self.pump.step()
        self._exchange.fund(user, round(usd * MICRO_PER_USDC))
        self.pump.publish_outputs(self._exchange.now_ns)

    def open_session(self, connection: Connection, ip: str = "127.0.0.1") -> SocketSession:
        """Begin a websocket session whose frames go to ``connection``."""
        coins = frozenset(self._board.instruments)
        return SocketSession(connection, self._hub, self.pump, self, coins=coins, ip=ip)

    # --- HTTP ----------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/info", self._post_info)
        app.router.add_post("/exchange", self._post_exchange)
        app.router.add_get("/ws", self._websocket)
        app.router.add_post("/faucet", self._post_faucet)
        app.router.add_get("/clock", self._get_clock)
        app.router.add_get("/", self._get_page)
        return app

    async def _post_info(self, request: web.Request) -> web.Response:
        return await self._post(request, "info")

    async def _post_exchange(self, request: web.Request) -> web.Response:
        return await self._post(request, "exchange")

    async def _post(self, request: web.Request, path: str) -> web.Response:
        self._counts[path] += 1
        plan = self._faults.exchange if path == "exchange" else self._faults.info
        fault = plan.get(self._counts[path])
        if fault is Fault.TOO_MANY:
            return _response(TOO_MANY_REQUESTS)
        if fault is Fault.BROKEN:
            return web.Response(status=502, text="<html>502 Bad Gateway</html>")
        raw = await request.read()
        if fault is not Fault.LOST_BEFORE:
            answer = await (self.info if path == "info" else self.exchange)(raw, _ip(request))
            if fault is None:
                return _response(answer)
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=502)

    async def _post_faucet(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except msgspec.DecodeError:
            body = {}
        user, usd = body.get("user"), body.get("usd")
        if (
            not isinstance(user, str)
            or not is_address(user.lower())
            or not isinstance(usd, int | float)
            or not 0 < usd <= FAUCET_USD_MAX
        ):
            raise web.HTTPUnprocessableEntity(
                text='faucet should get {"user": "0x..", "usd": amount up to '
                f"{FAUCET_USD_MAX}}}, was {body!r}"
            )
        self.faucet(user.lower(), float(usd))
        return _response(json_answer({"status": "ok", "user": user.lower(), "usd": usd}))

    async def _get_clock(self, request: web.Request) -> web.Response:
        clock = self._clock
        facts = {
            "start_ns": getattr(clock, "start_ns", self._source.start_ns),
            "speed": getattr(clock, "speed", 1.0),
            "anchor_monotonic_ns": getattr(clock, "anchor_monotonic_ns", 0),
            "now_ns": clock.now_ns(),
            "end_ns": self._source.end_ns,
            "assumptions": list(self._source.assumptions),
        }
        return _response(json_answer(facts))

    async def _get_page(self, request: web.Request) -> web.Response:
        return web.Response(text=render(self._facts()), content_type="text/html")

    def _facts(self) -> VenueFacts:
        exchange, board = self._exchange, self._board
        markets = []
        for coin in board.coins:
            instrument = board.instruments[coin]
            bids, asks = board.book(coin)
            best = [px_text(instrument, side[0][0]) if side else "none" for side in (bids, asks)]
            mark = px_text(instrument, exchange.mark_px(coin)) if board.has_market(coin) else ""
            markets.append((coin, best[0], best[1], mark))
        accounts = []
        for owner in exchange.owners():
            summary = exchange.account_summary(owner)
            accounts.append(
                (
                    owner,
                    usd_text(summary.total.account_value_micro),
                    str(len(exchange.open_orders(owner))),
                    str(len(summary.positions)),
                )
            )
        return VenueFacts(
            now_ns=self._clock.now_ns(),
            end_ns=self._source.end_ns,
            speed=float(getattr(self._clock, "speed", 1.0)),
            tick_count=self.pump.tick_count,
            connection_count=len(self._connections),
            markets=markets,
            accounts=accounts,
            assumptions=self._source.assumptions,
        )

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        ip = _ip(request)
        if sum(1 for other in self._connections.values() if other == ip) >= CONNECTIONS_PER_IP_MAX:
            return _response(TOO_MANY_REQUESTS)
        socket = web.WebSocketResponse(compress=False, max_msg_size=BODY_BYTES_MAX, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(_SocketSink(socket))
        self._connections[connection] = ip
        session = self.open_session(connection, ip)
        writer = asyncio.get_running_loop().create_task(connection.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    session.handle(message.data)
        finally:
            self._connections.pop(connection, None)
            session.close()
            await writer
        return socket


class _SocketSink:
    """An aiohttp websocket as a sink of encoded frames."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, frame: bytes) -> None:
        await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def close(self) -> object:
        return await self._socket.close()


def _ip(request: web.Request) -> str:
    return request.remote or "unknown"


def _response(answer: Answer) -> web.Response:
    kind = "text/plain" if answer.is_text else "application/json"
    return web.Response(status=answer.status, body=answer.body, content_type=kind, headers=_HEADERS)


# --- the process -------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulated exchange as a process of its own until it is told to stop.

    Prints one JSON line on standard output when it serves. Returns the exit code: 0 after a stop
    in order, else that of the error (11 if the port is taken).
    """
    if not __debug__:
        raise SystemExit("the simulated exchange refuses to run under python -O")
    options = _parser().parse_args(argv)
    import uvloop

    try:
        uvloop.run(_serve(options))
    except NovaError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.simulation.server",
        description="A simulated Hyperliquid exchange on loopback, with play money.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=_port, default=PORT_DEFAULT, help="port, 0 for a free one (default 3001)"
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="seconds of the venue per second (default 1)"
    )
    parser.add_argument("--seed", type=int, default=7, help="reproduces what the data do not tell")
    parser.add_argument(
        "--start",
        type=_moment,
        default=None,
        help="first moment played, such as 2025-05-06T00:00; without it and at speed 1 the "
        "third day of the sample is played as if it were today",
    )
    parser.add_argument("--coins", default="BTC,ETH,SOL", help="coins of the shipped sample")
    parser.add_argument(
        "--end-with-parent",
        action="store_true",
        help="stop when the process that started this one is gone",
    )
    parser.add_argument(
        "--fund",
        type=_funding,
        action="append",
        default=[],
        metavar="ADDRESS=USD",
        help="give an account play money at the start; may be repeated",
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"port should be from 0 to {PORT_MAX}, was {text}")
    return port


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.0 < speed <= 100_000.0:
        raise argparse.ArgumentTypeError(f"speed should be above 0 and at most 100000, was {text}")
    return speed


def _moment(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"moment should read like 2025-05-06T00:00 (UTC), was {text}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round(moment.timestamp()) * NS_PER_S


def _funding(text: str) -> tuple[str, float]:
    address, _, usd = text.partition("=")
    try:
        amount = float(usd or "10000")
    except ValueError:
        amount = 0.0
    if not is_address(address.lower()) or not 0 < amount <= FAUCET_USD_MAX:
        raise argparse.ArgumentTypeError(f"funding should read like 0x<40 hex>=10000, was {text}")
    return address.lower(), amount


async def _serve(options: argparse.Namespace) -> None:
    from core.simulation.market.candle_source import TICKS_PER_BAR
    from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
    from core.simulation.market.shifted_source import ShiftedSource, days_between

    is_now = options.start is None and options.speed == 1.0
    offset_ns = days_between(SAMPLE_START_NS, time.time_ns()) if is_now else 0
    sample = SampleSource(
        [coin.strip() for coin in options.coins.split(",") if coin.strip()],
        start_ns=time.time_ns() - offset_ns if is_now else options.start,
        seed=options.seed,
        ticks_per_bar=TICKS_PER_BAR_SLOW if options.speed <= SPEED_SLOW else TICKS_PER_BAR,
    )
    source = ShiftedSource(sample, offset_ns) if is_now else sample
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    clock = ScaledClock(source.start_ns, options.speed, time.monotonic_ns())
    server = VenueServer(
        exchange, source, clock, host=options.host, port=options.port, seed=options.seed
    )
    for address, usd in options.fund:
        exchange.fund(address, round(usd * MICRO_PER_USDC))
    port = await server.start()
    ready = {
        "ready": True,
        "port": port,
        "base_url": f"http://{options.host}:{port}",
        "coins": list(source.coins),
        "speed": options.speed,
        "start_ns": source.start_ns,
        "end_ns": source.end_ns,
    }
    print(msgspec.json.encode(ready).decode(), flush=True)
    try:
        await _until_told(server, with_parent=options.end_with_parent)
    finally:
        await server.stop()


async def _until_told(server: VenueServer, *, with_parent: bool) -> None:
    """Wait for a signal, the parent's end where asked, or a broken invariant (which raises)."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
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


if __name__ == "__main__":
    sys.exit(main())
