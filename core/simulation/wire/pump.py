"""Venue time: ticks, actions and answers, each at its own moment and in one order.

Everything is stamped in the venue's time. A tick is applied at its stamp and its news reach
clients after the feed latency. An action becomes due at its arrival plus the entry latency, and
before it runs every tick up to that moment has been applied: resting orders meet the new market
first, and the action meets the market of its due moment, never that of its sending. Its answer and
its fills travel back for the response latency.

With a fast clock a millisecond of computing is seconds of the venue. If the process falls behind,
ticks are applied in a batch, in order, and the news of the batch are coalesced; an action keeps
its due time and its place among the ticks, however late the process gets to it.

Who moves time is not the pump's business: a running clock wakes it at the moments that are due, a
clock moved by hand is stepped by `core.simulation.wire.time_drivers`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import TypeVar

from core.model.ports import Clock
from core.model.time import NS_PER_MS, NS_PER_S, NS_PER_US
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.reaction import tell_trades
from core.simulation.market.source import MarketSource, ReactiveSource
from core.simulation.market.ticks import MarketTick
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.hub import Hub, KeyedRow
from core.simulation.wire.latency import LatencyModel

T = TypeVar("T")

STEPS_MAX = 512
"""Ticks and actions per turn; then other tasks get theirs."""
WAKE_WALL_NS_MIN = 3 * NS_PER_MS
WAKE_WALL_NS_MAX = 250 * NS_PER_MS
PENDING_MAX = 10_000
NEVER_NS = 1 << 62

_Delivery = KeyedRow | Callable[[], None]


class VenueBusyError(Exception):
    """More actions wait than the venue takes; the server answers 429."""


class MarketPump:
    """Play a market source into the venue as its clock advances.

    Parameters
    ----------
    exchange : SimulatedExchange
        Gets every tick and every action.
    source : MarketSource
        The market.
    board, hub : MarketBoard, Hub
        Get what changed.
    clock : Clock
        The venue's clock.
    latency : LatencyModel
        Seeded delays.

    Attributes
    ----------
    wake_at : callable
        Asked to let `step` be called at a moment for which a client waits. By default a timer of
        the clock; whoever moves the clock himself puts his own here.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        source: MarketSource,
        board: MarketBoard,
        hub: Hub,
        clock: Clock,
        latency: LatencyModel,
    ) -> None:
        self._exchange, self._board, self._hub = exchange, board, hub
        self._clock, self._latency = clock, latency
        self._ticks = source.ticks()
        self._tick: MarketTick | None = next(self._ticks, None)
        self._speed = float(getattr(clock, "speed", 1.0))
        self._ids = count()
        self._actions: list[tuple[int, int, Callable[[int], None]]] = []
        self._deliveries: list[tuple[int, int, _Delivery]] = []
        self._urgent_ns: list[int] = []
        self._feed_due_ns = self._entry_due_ns = self._answer_due_ns = 0
        self._reactive = source if isinstance(source, ReactiveSource) else None
        self._timer: asyncio.Task[None] | None = None
        self._timer_ns = NEVER_NS
        self.wake_at: Callable[[int], None] = self._set_timer
        self.on_failure: Callable[[BaseException], None] = _raise
        self.tick_count = 0
        self.behind_ns_max = 0

    @property
    def is_finished(self) -> bool:
        """Whether the market data have ended."""
        return self._tick is None

    # --- what the server asks ------------------------------------------------------------------

    def submit(self, execute: Callable[[int], T]) -> asyncio.Future[T]:
        """Let an action travel to the venue; the future holds what it returned, travelled back.

        Parameters
        ----------
        execute : callable
            Called once with its moment, after every tick up to then.

        Raises
        ------
        VenueBusyError
            If more than `PENDING_MAX` actions wait.
        """
        if len(self._actions) >= PENDING_MAX:
            raise VenueBusyError
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        arrival_ns = self._clock.now_ns()
        due_ns = max(self._entry_due_ns, arrival_ns + self._latency.entry_ns())
        self._entry_due_ns = due_ns

        def run(now_ns: int) -> None:
            result = execute(now_ns)
            self._answer(now_ns, lambda: resolve(future, result))

        heapq.heappush(self._actions, (due_ns, next(self._ids), run))
        self._expect(due_ns)
        self.step()
        return future

    def read(self, answer: Callable[[int], T]) -> asyncio.Future[T]:
        """Answer a query from the state at its arrival; the answer travels back."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.step()
        now_ns = self._clock.now_ns()
        result = answer(now_ns)
        self._answer(now_ns, lambda: resolve(future, result))
        self._deliver(now_ns)
        self._wake(now_ns)
        return future

    def tell_later(self, callback: Callable[[int], None]) -> None:
        """Call back when a market message sent now would arrive, in its place among the news.

        The callback gets the moment up to which the market has been played.
        """
        now_ns = self._clock.now_ns()
        due_ns = max(self._feed_due_ns, now_ns + self._latency.feed_ns())
        self._feed_due_ns = due_ns
        item = (due_ns, next(self._ids), lambda: callback(self._exchange.now_ns))
        heapq.heappush(self._deliveries, item)
        self._expect(due_ns)
        self.step()

    def call_at(
        self, due_ns: int, callback: Callable[[], None], *, is_awaited: bool = False
    ) -> None:
        """Call back at a moment, in its place among the news.

        Parameters
        ----------
        is_awaited : bool
            Whether a client waits for it; otherwise it happens when time comes there.
        """
        heapq.heappush(self._deliveries, (due_ns, next(self._ids), callback))
        if is_awaited:
            self._expect(due_ns)
            self._wake(self._clock.now_ns())

    def publish_outputs(self, now_ns: int) -> None:
        """Send what the exchange put out since the last time, from outside an action."""
        self._send_outputs(now_ns)
        self._expect(self._answer_due_ns)
        self.step()

    # --- time ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep playing until cancelled."""
        while True:
            if self.step():
                await asyncio.sleep(0)
                continue
            now_ns = self._clock.now_ns()
            wait_ns = min(max(self.next_ns - now_ns, 0), self._wall(WAKE_WALL_NS_MAX))
            wait_ns = max(wait_ns, self._wall(WAKE_WALL_NS_MIN))
            await self._clock.sleep(wait_ns / NS_PER_S)

    def step(self) -> bool:
        """Do everything that is due; return whether more is due than one turn may do."""
        now_ns = self._clock.now_ns()
        is_behind = self._play(now_ns)
        self._deliver(now_ns)
        self._wake(now_ns)
        return is_behind

    @property
    def next_ns(self) -> int:
        """The next moment at which a tick, an action or a delivery is due."""
        tick_ns = self._tick.ts_ns if self._tick is not None else NEVER_NS
        action_ns = self._actions[0][0] if self._actions else NEVER_NS
        delivery_ns = self._deliveries[0][0] if self._deliveries else NEVER_NS
        return min(tick_ns, action_ns, delivery_ns)

    async def close(self) -> None:
        """Cancel what waits."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    def _play(self, now_ns: int) -> bool:
        for _ in range(STEPS_MAX):
            tick_ns = self._tick.ts_ns if self._tick is not None else NEVER_NS
            action_ns = self._actions[0][0] if self._actions else NEVER_NS
            if min(tick_ns, action_ns) > now_ns:
                self._advance(now_ns)
                return False
            if tick_ns <= action_ns:
                self.behind_ns_max = max(self.behind_ns_max, now_ns - tick_ns)
                self._apply_tick()
            else:
                due_ns, _, run = heapq.heappop(self._actions)
                self._advance(due_ns)
                run(due_ns)
                self._send_outputs(due_ns)
        return True

    def _apply_tick(self) -> None:
        tick = self._tick
        assert tick is not None, "invariant: a tick is due"
        self._exchange.apply_market(tick)
        prints = self._board.add(tick)
        self._send_outputs(tick.ts_ns)
        due_ns = max(self._feed_due_ns, tick.ts_ns + self._latency.feed_ns())
        self._feed_due_ns = due_ns
        self._push(due_ns, self._hub.tick_rows(tick, prints))
        self.tick_count += 1
        self._tick = next(self._ticks, None)
        assert self._tick is None or self._tick.ts_ns >= tick.ts_ns, (
            f"invariant: ticks ordered by time, {tick.ts_ns} came before {self._tick.ts_ns}"
        )

    def _advance(self, now_ns: int) -> None:
        self._exchange.advance(now_ns)
        self._send_outputs(now_ns)

    def _send_outputs(self, ts_ns: int) -> None:
        outputs = self._exchange.drain()
        if outputs:
            if self._reactive is not None:
                tell_trades(self._reactive, outputs)
            due_ns = self._answer_due(ts_ns)
            self._push(due_ns, self._hub.output_rows(outputs, ts_ns))

    def _answer(self, now_ns: int, callback: Callable[[], None]) -> None:
        due_ns = self._answer_due(now_ns)
        heapq.heappush(self._deliveries, (due_ns, next(self._ids), callback))
        self._expect(due_ns)

    def _answer_due(self, now_ns: int) -> int:
        due_ns = max(self._answer_due_ns, now_ns + self._latency.response_ns())
        self._answer_due_ns = due_ns
        return due_ns

    def _push(self, due_ns: int, rows: Iterable[KeyedRow]) -> None:
        for row in rows:
            heapq.heappush(self._deliveries, (due_ns, next(self._ids), row))

    def _deliver(self, now_ns: int) -> None:
        """Publish the rows that have arrived, in their order; callbacks keep their place."""
        rows: list[KeyedRow] = []
        deliveries = self._deliveries
        while deliveries and deliveries[0][0] <= now_ns:
            item = heapq.heappop(deliveries)[2]
            if callable(item):
                self._hub.publish(rows)
                rows = []
                item()
            else:
                rows.append(item)
        if rows:
            self._hub.publish(rows)

    def _wall(self, wall_ns: int) -> int:
        """Return how far the venue's clock moves in a span of the world's time."""
        return round(wall_ns * self._speed)

    # --- waking ------------------------------------------------------------------------------

    def _expect(self, due_ns: int) -> None:
        """Note that a client waits for a moment, and not only for the market's next move."""
        heapq.heappush(self._urgent_ns, due_ns)

    def _wake(self, now_ns: int) -> None:
        """Have the next moment that somebody waits for attended to."""
        urgent = self._urgent_ns
        while urgent and urgent[0] <= now_ns:
            heapq.heappop(urgent)
        if urgent:
            self.wake_at(urgent[0])
        elif self._actions and self._actions[0][0] <= now_ns:
            self.wake_at(now_ns)

    def _set_timer(self, due_ns: int) -> None:
        if self._timer is not None:
            if due_ns >= self._timer_ns:
                return
            self._timer.cancel()
        self._timer_ns = due_ns
        self._timer = asyncio.get_running_loop().create_task(self._step_at(due_ns))
        self._timer.add_done_callback(self._timer_done)

    async def _step_at(self, due_ns: int) -> None:
        # Sleeping counts whole microseconds: up, so as not to wake before the moment.
        wait_us = -((self._clock.now_ns() - due_ns) // NS_PER_US)
        await self._clock.sleep(max(0, wait_us) * NS_PER_US / NS_PER_S)
        self._timer = None
        self.step()

    def _timer_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.on_failure(error)


def resolve(future: asyncio.Future[T], result: T) -> None:
    """Give a future its result, unless whoever waited for it is gone."""
    if not future.done():
        future.set_result(result)


def _raise(error: BaseException) -> None:
    raise error
