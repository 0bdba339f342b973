"""One account, one venue, one virtual clock, and a bot that dies where the test says.

The bot is the real session with the real journal on disk, continued by the real recovery; only
network and time are simulated. What the dead bot had sent still arrives; what was on its way to
it is lost. Everything follows from the script, so a crash that fails fails again.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar
from unittest import mock

from core.engines.trading_engine import TradingEngine
from core.model.codes import Mode, Tif
from core.model.commands import Command, ModifyOrder, PlaceOrder, ReportAccount
from core.model.events import (
    BboChanged,
    CandlesLoaded,
    ContextChanged,
    Event,
    InstrumentsListed,
    LinkChanged,
    TimerTicked,
)
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import EngineConfig
from core.model.time import NS_PER_MIN, NS_PER_MS, NS_PER_S
from core.runtime import compose
from core.runtime.account_home import AccountHome, home_name
from core.runtime.recovery import Recovered, recover
from core.runtime.session import Session
from core.runtime.snapshots import SnapshotStore
from core.simulation.adapter import execute_command, to_events
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderRequest, OrderSnapshot
from core.utils.journal import SqliteJournal
from tests.engines.fakes import ACCOUNT, BTC, CASH, ETH, PX, T0, FakeStrategy, candles, config_of
from tests.runtime.rooms import HandClock

ENTRY_NS = 40 * NS_PER_MS
ANSWER_NS = 30 * NS_PER_MS
FILLS_MARGIN_NS = 600 * NS_PER_S
DEPTH_LOTS = 10**9

Wish = Callable[[MarketView], list[Intent]]


class Crash(BaseException):
    """The process is gone; nobody can catch that."""


class Fuse:
    """Counts the places where a process may die, and lets it die at some of them."""

    def __init__(self) -> None:
        self.count = 0
        self.dies_at: set[int] = set()

    def pass_by(self) -> None:
        self.count += 1
        if self.count in self.dies_at:
            raise Crash


class Outbox:
    """Hands commands to the world one by one; the process may die between two of them."""

    def __init__(self, world: CrashWorld, life: int) -> None:
        self._world, self._life = world, life

    def send(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._world.post(command, self._life)
            self._world.fuse.pass_by()


class CrashWorld:
    """The venue, the market's script, and the bot of the moment.

    Parameters
    ----------
    wish : callable
        What the strategy wishes, as a function of its view alone.
    path : callable
        Price of BTC in units by the second since the start.
    """

    def __init__(
        self,
        state_dir: Path,
        wish: Wish,
        *,
        path: Callable[[int], int] = lambda second: PX,
        config: EngineConfig | None = None,
        down_seconds: int = 3,
    ) -> None:
        self.state_dir, self.wish, self.path = state_dir, wish, path
        self.config = config or config_of()
        self.down_seconds = down_seconds
        self.clock = HandClock()
        self.fuse = Fuse()
        self.exchange = SimulatedExchange((BTC, ETH), start_ns=T0)
        self.exchange.fund(ACCOUNT, CASH)
        self.exchange.drain()
        self.session: Session | None = None
        self.recovered: list[Recovered] = []
        self.placed: Counter[str] = Counter()
        self.second = 0
        self.lots_max = 0
        self.stops_max = 0
        self.is_hidden: Callable[[Event], bool] = lambda event: False
        self._home: AccountHome | None = None
        self._snapshots: SnapshotStore | None = None
        self._life = 0
        self._queue: list[tuple[int, int, int, Event | Command]] = []
        self._ids = count()

    @property
    def engine(self) -> TradingEngine:
        assert self.session is not None
        return self.session.engine

    # --- the process ------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process that continues what the last one left, and bring it up."""
        self._life += 1
        self._home = AccountHome(self.state_dir, home_name("test", ACCOUNT))
        self._snapshots = None
        with self._patched():
            last = self._home.last_session()
            left = recover(last) if last is not None else None
            directory = compose.session_directory(self.state_dir, f"test-{self._life}")
            self._snapshots = SnapshotStore(directory, session=directory.name)
            self.session = None
            session = compose.build_session(
                mode=Mode.TESTNET,
                config=self.config,
                account=ACCOUNT,
                clock=self.clock,
                directory=directory,
                seed=0,
                is_durable=False,
                carried=None if left is None else left.event(),
                snapshots=self._snapshots,
            )
            if left is not None:
                self.recovered.append(left)
            self._home.begin(directory.name)
        session.attach(Outbox(self, self._life))
        self.session = session
        self._bring_up(session)

    def _bring_up(self, session: Session) -> None:
        now_ns = self.clock.ns
        known_ns = session.engine.fills_known_ns
        self.exchange.advance(now_ns)
        ask = ReportAccount(max(0, known_ns - FILLS_MARGIN_NS))
        flows = [
            *self.exchange.ledger(ACCOUNT, ask.since_ns),
            *self.exchange.funding_history(ACCOUNT, ask.since_ns),
        ]
        for event in (
            InstrumentsListed(instruments=(BTC, ETH)),
            CandlesLoaded(coin="BTC", interval_ns=NS_PER_MIN, candles=candles(end_ns=now_ns)),
            *(LinkChanged(channel=c, is_up=True) for c in ("rest", "market", "user")),
            # The market speaks before the account does.
            *self._market(self.path(self.second)),
            *to_events(flows, ACCOUNT),
            *execute_command(self.exchange, ACCOUNT, ask, now_ns),
        ):
            session.emit(event)

    def stop(self) -> None:
        """End in order."""
        assert self.session is not None and self._home is not None
        self.session.close("asked to")
        self._home.close()
        self.session = None

    def kill(self) -> None:
        """Leave behind what a process leaves that was killed."""
        assert self._home is not None
        self.session = None
        for journal in CountingJournal.alive:
            journal._db.close()
        CountingJournal.alive.clear()
        if self._snapshots is not None:
            self._snapshots.close()
        # The system lets go of a dead program's lock; its text stays.
        self._home._lock.close()

    def engine_maker(self, config: EngineConfig, *, account: str) -> TradingEngine:
        """Build an engine whose only strategy wishes what the script says."""
        strategy = FakeStrategy()
        strategy.decide = self.wish
        return TradingEngine(config, [strategy], account=account)

    @contextlib.contextmanager
    def _patched(self) -> Iterator[None]:
        def journal(path: Path, **facts: object) -> CountingJournal:
            return CountingJournal(path, self.fuse, **facts)

        with (
            mock.patch.object(compose, "build_engine", self.engine_maker),
            mock.patch.object(compose, "SqliteJournal", journal),
        ):
            yield

    # --- the world --------------------------------------------------------------------------

    def play(self, seconds: int) -> None:
        """Let time pass; a process that dies is started again after a while."""
        end = self.second + seconds
        while self.second < end:
            try:
                self._play_second()
            except Crash:
                self.kill()
                self.second += self.down_seconds
                self._run_until(T0 + self.second * NS_PER_S)
                self.start_again()

    def start_again(self) -> None:
        """Start a process after a crash; that one may die while it comes up, too."""
        while self.session is None:
            try:
                self.start()
            except Crash:
                self.kill()

    def _play_second(self) -> None:
        self.second += 1
        now_ns = T0 + self.second * NS_PER_S
        self._run_until(now_ns)
        px = self.path(self.second)
        self.exchange.apply_market(
            MarketTick(
                ts_ns=now_ns,
                coin="BTC",
                bids=((px - 10, DEPTH_LOTS),),
                asks=((px + 10, DEPTH_LOTS),),
                trades=(),
                mark_px=px,
                oracle_px=px,
                funding_rate_1h=0.0,
            )
        )
        self._tell(now_ns)
        self._emit(*self._market(px))
        self._look()

    def _market(self, px: int) -> tuple[Event, ...]:
        return (
            ContextChanged(coin="BTC", mark_px=px, oracle_px=px, funding_rate_1h=0.0),
            BboChanged(coin="BTC", bid_px=px - 10, bid_lots=9, ask_px=px + 10, ask_lots=9),
            TimerTicked(),
        )

    def by_hand(self, coin: str, lots: int, px: int, *, tif: Tif = Tif.IOC) -> None:
        """Trade on the account at the venue's own page."""
        request = OrderRequest(coin=coin, is_buy=lots > 0, px=px, lots=abs(lots), tif=tif)
        self.exchange.place(ACCOUNT, (request,))
        self._tell(self.clock.ns)

    def post(self, command: Command, life: int) -> None:
        """Let a command travel; it arrives whoever sent it is still there or not."""
        self._push(self.clock.ns + ENTRY_NS, command, life)

    def _run_until(self, limit_ns: int) -> None:
        while self._queue and self._queue[0][0] <= limit_ns:
            due_ns, _, life, item = heapq.heappop(self._queue)
            self._move_to(due_ns)
            if isinstance(item, Event):
                if life == self._life:
                    self._emit(item)
            else:
                self._execute(item, life)
        self._move_to(limit_ns)

    def _execute(self, command: Command, life: int) -> None:
        order = command.order if isinstance(command, ModifyOrder) else command
        if isinstance(order, PlaceOrder):
            self.placed[order.cloid] += 1
        for event in execute_command(self.exchange, ACCOUNT, command, self.clock.ns):
            self._push(self.clock.ns + ANSWER_NS, event, life)
        self._tell(self.clock.ns)
        self._look()

    def _tell(self, now_ns: int) -> None:
        """Put what happened at the venue on its way to the process of the moment, if there is."""
        for event in to_events(self.exchange.drain(), ACCOUNT):
            if self.session is not None and not self.is_hidden(event):
                self._push(now_ns + ANSWER_NS, event, self._life)

    def _push(self, due_ns: int, item: Event | Command, life: int) -> None:
        heapq.heappush(self._queue, (due_ns, next(self._ids), life, item))

    def _emit(self, *events: Event) -> None:
        for event in events:
            if self.session is not None:
                self.session.emit(event)

    def _move_to(self, now_ns: int) -> None:
        self.clock.ns = max(self.clock.ns, now_ns)
        self.exchange.advance(self.clock.ns)

    def _look(self) -> None:
        """Keep the worst that the venue ever showed."""
        self.lots_max = max(self.lots_max, abs(self.position()))
        self.stops_max = max(self.stops_max, len(self.stops()))

    # --- what the venue says ----------------------------------------------------------------

    def position(self, coin: str = "BTC") -> int:
        rows = self.exchange.account_report(ACCOUNT).positions
        return next((row.position_lots for row in rows if row.coin == coin), 0)

    def open_orders(self) -> tuple[OrderSnapshot, ...]:
        return self.exchange.open_orders(ACCOUNT)

    def stops(self) -> list[OrderSnapshot]:
        """Stops of a long or short position: triggers on the losing side of the entry."""
        long = self.position() > 0
        rows = [order for order in self.open_orders() if order.trigger_px and order.reduce_only]
        return [row for row in rows if (row.trigger_px < PX) is long] if self.position() else []


class CountingJournal(SqliteJournal):
    """The real journal; the process may die after each thing that was put into it."""

    alive: ClassVar[list[CountingJournal]] = []

    def __init__(self, path: Path, fuse: Fuse, **facts: object) -> None:
        super().__init__(path, **facts)  # type: ignore[arg-type]
        self._fuse = fuse
        self.alive.append(self)

    def append(self, event: object) -> None:
        super().append(event)  # type: ignore[arg-type]
        self._fuse.pass_by()

    def record(self, step: object) -> None:
        super().record(step)  # type: ignore[arg-type]
        self._fuse.pass_by()

    def commit(self) -> None:
        super().commit()
        self._fuse.pass_by()

    def close(self) -> None:
        super().close()
        if self in self.alive:
            self.alive.remove(self)


def assert_equal(world: CrashWorld) -> None:
    """The engine's picture of the account is the venue's, to the micro-USDC."""
    account = world.engine._context.account.facts
    report = world.exchange.account_report(ACCOUNT)
    theirs = {row.coin: row.position_lots for row in report.positions if row.position_lots}
    assert {coin: p.lots for coin, p in account.positions.items()} == theirs
    assert account.cash_micro == report.cash_micro
    fills = world.exchange.fills(ACCOUNT)
    assert account.fees_micro == sum(row.fill.fee_micro for row in fills), "each fill booked once"
    ours = {order.cloid for order in world.engine._context.orders.facts.open.values()}
    assert ours == {order.cloid for order in world.open_orders()}
    assert set(world.placed.values()) <= {1}, "no intent was executed twice"
