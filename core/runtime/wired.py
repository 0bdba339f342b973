"""A session over the wire: the real client, the real signing, the real feed.

Live, testnet, demo and paper all run through `WiredRun`; it cannot tell them apart. It brings
the session up (metadata, history, feed, account truth), keeps it up, and ends it in order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.websocket_feed import WebSocketFeed
from core.model.codes import SHUTDOWN, OperatorAction
from core.model.errors import ClockSkewError, VenueError
from core.model.events import Event, InstrumentsListed, TimerTicked
from core.model.instrument import Instrument
from core.model.ports import Clock, Emit
from core.model.settings import TradingParams
from core.model.time import NS_PER_S, interval_ns
from core.runtime.links import TradingLink
from core.runtime.session import Session

WARM_UP_CANDLES = 500
FILLS_BACK_NS = 24 * 3600 * NS_PER_S
FILLS_MARGIN_NS = 600 * NS_PER_S
"""How far before what is known the venue is asked again: rows may arrive late and out of order."""
STRAYS_EVERY_SECONDS = 5.0
BUDGET_EVERY_SECONDS = 60.0
BUDGET_EVERY_TICKS = 10
CLOCK_SKEW_NS_MAX = 2 * NS_PER_S
"""Less than the margin after which an order that expired is given up for dead."""
MARKETS_EVERY_SECONDS = 3600.0
STOP_WALL_SECONDS_MAX = 8.0
STOP_POLL_WALL_SECONDS = 0.02


class WiredRun:
    """Run one session against one venue address until asked to stop.

    Parameters
    ----------
    account : str or None
        Whose private channels to subscribe; ``None`` subscribes to the market alone.
    timer_seconds : float
        Space between timer ticks, in seconds of ``clock``.
    flatten_on_stop : bool
        Close positions at the end. Otherwise they stay, with their stops at the venue.
    """

    def __init__(
        self,
        session: Session,
        api: HyperliquidAPI,
        link: TradingLink,
        *,
        ws_url: str,
        account: str | None,
        params: TradingParams,
        clock: Clock,
        timer_seconds: float,
        flatten_on_stop: bool,
    ) -> None:
        self._session = session
        self._api = api
        self._link = link
        self._params = params
        self._clock = clock
        self._timer_seconds = timer_seconds
        self._flatten_on_stop = flatten_on_stop
        self._stop = asyncio.Event()
        self._instruments: tuple[Instrument, ...] = ()
        self._interval_ns = interval_ns(params.candle_interval)
        self._feed = WebSocketFeed(
            ws_url,
            api.codec,
            clock,
            self._take,
            account=account,
            coins=params.coins,
            candle_interval=params.candle_interval,
            on_reconnected=self._catch_up,
        )
        session.attach(link, on_stop=self._stop.set)

    async def run(self, *, duration_s: float | None, on_ready: Callable[[Session], None]) -> None:
        """Bring up, run, and end in order; ``duration_s`` is wall time.

        Raises
        ------
        VenueError
            If the venue cannot be reached at the start.
        ClockSkewError
            If this machine's clock is too far from the venue's for nonces to be accepted.
        Exception
            What broke, if an invariant did.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._link.close)
            stack.push_async_callback(self._feed.disconnect)
            await self._bring_up()
            on_ready(self._session)
            work = (
                self._tick(),
                self._report_budget(),
                self._feed.wait(),
                self._price_strays(),
                watch_markets(self._api, self._clock, self._instruments, self._take),
            )
            workers = [asyncio.create_task(w) for w in work]
            stack.push_async_callback(_cancel, workers)
            stack.push_async_callback(self._wind_down)
            await self._until_stopped(duration_s, workers)
        if self._session.breakdown is not None:
            raise self._session.breakdown

    def _take(self, event: Event) -> None:
        self._link.observe(event)
        self._session.emit(event)

    async def _bring_up(self) -> None:
        await self._check_clock()
        instruments, quarantined = await self._api.fetch_instruments()
        self._instruments = instruments
        self._take(InstrumentsListed(instruments=instruments))
        for row in quarantined:
            self._session.emit(row)
        await self._link.start()
        await self._load_history()
        await self._feed.connect()
        await self._report_account()

    async def _check_clock(self) -> None:
        """Compare clocks; the answer's travel time counts against nobody."""
        sent_ns = self._clock.now_ns()
        venue_ns = await self._api.fetch_server_time_ns()
        received_ns = self._clock.now_ns()
        skew_ns = max(sent_ns - venue_ns, venue_ns - received_ns, 0)
        if skew_ns > CLOCK_SKEW_NS_MAX:
            raise ClockSkewError(
                f"this machine's clock should be within {CLOCK_SKEW_NS_MAX // NS_PER_S} s of the "
                f"venue's, was {skew_ns / NS_PER_S:.0f} s off; set it by NTP and start again"
            )

    async def _load_history(self) -> None:
        now_ns = self._clock.now_ns()
        start_ns = now_ns - WARM_UP_CANDLES * self._interval_ns
        for coin in self._params.coins:
            self._session.emit(
                await self._api.fetch_candles(coin, self._params.candle_interval, start_ns, now_ns)
            )

    async def _report_account(self) -> None:
        known_ns = self._session.engine.fills_known_ns
        since_ns = known_ns - FILLS_MARGIN_NS if known_ns else self._clock.now_ns() - FILLS_BACK_NS
        for event in await self._link.report(max(0, since_ns)):
            self._session.emit(event)

    async def _price_strays(self) -> None:
        """Bring prices of coins that are held and not traded, which no channel is about."""
        while True:
            await self._clock.sleep(max(STRAYS_EVERY_SECONDS, self._timer_seconds))
            await self._price_strays_once()

    async def _price_strays_once(self) -> None:
        for coin in self._session.engine.stray_coins:
            with contextlib.suppress(VenueError):
                self._take(await self._api.fetch_book(coin))

    async def _catch_up(self) -> None:
        """After a reconnect: close the candle gap, then ask what became of us meanwhile.

        What goes wrong is the feed's to hear: it takes the link down and tries again later.
        """
        await self._load_history()
        await self._report_account()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._timer_seconds)
            self._session.emit(TimerTicked())

    async def _report_budget(self) -> None:
        while True:
            with contextlib.suppress(VenueError):
                for event in await self._link.report_budget():
                    self._session.emit(event)
            await self._clock.sleep(
                max(BUDGET_EVERY_SECONDS, BUDGET_EVERY_TICKS * self._timer_seconds)
            )

    async def _until_stopped(
        self, duration_s: float | None, workers: list[asyncio.Task[None]]
    ) -> None:
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait(
            [stop, *workers], timeout=duration_s, return_when=asyncio.FIRST_COMPLETED
        )
        stop.cancel()
        for task in done:
            if task is not stop:
                task.result()
        self._session.stop_reason = self._session.stop_reason or "duration reached"

    async def _wind_down(self) -> None:
        """Cancel what works, flatten where asked, and wait for the venue to confirm."""
        action = OperatorAction.FLATTEN if self._flatten_on_stop else OperatorAction.HALT
        self._session.operate(action, SHUTDOWN, reason=self._session.stop_reason)
        self._session.operate(OperatorAction.CANCEL_ALL, SHUTDOWN)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_WALL_SECONDS_MAX
        while not self._is_settled() and loop.time() < deadline:
            await asyncio.sleep(STOP_POLL_WALL_SECONDS)

    def _is_settled(self) -> bool:
        engine = self._session.engine
        if self._session.breakdown is not None:
            return self._link.is_idle
        if self._session.failure is not None:
            return self._link.is_idle and engine.is_guarded and not engine.cancellable_orders()
        is_flat = not self._flatten_on_stop or engine.is_flat
        return self._link.is_idle and is_flat and not engine.cancellable_orders()


async def watch_markets(
    api: HyperliquidAPI, clock: Clock, known: tuple[Instrument, ...], take: Emit
) -> None:
    """Tell of every change of the listed markets, such as a delisting, for ever.

    A venue that does not answer is asked again next time; the feed tells that it is away.
    """
    while True:
        await clock.sleep(MARKETS_EVERY_SECONDS)
        with contextlib.suppress(VenueError):
            instruments, _ = await api.fetch_instruments()
            if instruments != known:
                known = instruments
                take(InstrumentsListed(instruments=instruments))


async def _cancel(workers: list[asyncio.Task[None]]) -> None:
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
