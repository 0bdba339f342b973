"""What is always true, on random sessions: replay, snapshot, no look-ahead, no forbidden exposure.

A random session is a closed loop: the engine's commands reach a tiny venue whose answers are
delayed, lost, doubled and reordered, while the market moves and operators interfere.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.trading_engine import TradingEngine
from core.model.codes import OperatorAction, OrderStatus, Purpose, TradingState
from core.model.commands import (
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
    SetLeverage,
)
from core.model.events import (
    BookChanged,
    CandleChanged,
    DataGap,
    Event,
    FundingPaid,
    LedgerMoved,
    LinkChanged,
    OrderFilled,
    OrderUnanswered,
    RateBudgetReported,
    TimerTicked,
    TradesPrinted,
    VenueUnavailable,
)
from core.model.intents import Quote, TargetQuotes
from core.model.market import Candle, PublicTrade
from core.model.time import NS_PER_MIN, NS_PER_S
from tests.engines.fakes import ACCOUNT, PX, FakeStrategy, Floor, config_of, flat, long, short

SEEDS = st.integers(0, 2**32 - 1)


def mood(view) -> list:
    """A strategy with opinions: a pure function of the view, so that a replica agrees."""
    draw = random.Random(f"{round(view.price)}:{view.now_ns // (5 * NS_PER_S)}").random()
    price = view.price
    if draw < 0.3:
        return [long(stop_price=price * 0.99, target_price=price * 1.02)]
    if draw < 0.5:
        return [short(stop_price=price * 1.01, target_price=price * 0.98)]
    if draw < 0.6:
        return [long(entry_price=price * 0.999, stop_price=price * 0.98, target_price=None)]
    if draw < 0.75:
        quotes = (
            Quote(is_buy=True, price=price * 0.998),
            Quote(is_buy=True, price=price * 0.996),
            Quote(is_buy=False, price=price * 1.002),
        )
        return [TargetQuotes(coin="BTC", strategy="fake", quotes=quotes, reason="mood")]
    return [flat()] if draw < 0.9 else []


def new_engine() -> TradingEngine:
    strategy = FakeStrategy()
    strategy.decide = mood
    return TradingEngine(session_config(), [strategy], account=ACCOUNT)


def session_config():
    return config_of(trade_timeout_seconds=120.0, max_daily_loss=0.01, max_daily_drawdown=0.03)


class RandomSession:
    """Drive a floor at random; everything depends on the seed alone."""

    def __init__(self, seed: int, length: int = 120) -> None:
        self.rng = random.Random(seed)
        self.floor = Floor(config=session_config())
        self.floor.strategy.decide = mood
        self.floor.start(settles=False)
        self.px = PX
        self.under_way: list[Event] = []
        self.fills: list[OrderFilled] = []
        self.candle: Candle | None = None
        for _ in range(length):
            self.turn()

    def turn(self) -> None:
        rng, floor = self.rng, self.floor
        floor.venue.ioc_share = rng.choice([1.0, 1.0, 0.5, 0.0])
        floor.send(TimerTicked(), after_s=rng.choice([0.1, 1.0, 3.0, 20.0]))
        self.px = max(100_000, self.px + rng.randrange(-3_000, 3_001, 10))
        self.under_way += floor.venue.move("BTC", self.px - 10, self.px + 10)
        floor.send(*self.market())
        self.carry()
        rng.shuffle(self.under_way) if rng.random() < 0.2 else None
        arriving = [e for e in self.under_way if rng.random() < 0.8]
        self.under_way = [e for e in self.under_way if e not in arriving]
        self.fills += [e for e in arriving if isinstance(e, OrderFilled)]
        floor.send(*arriving)
        if rng.random() < 0.15:
            floor.send(*self.trouble())

    def market(self) -> list[Event]:
        floor, px, now = self.floor, self.px, self.floor.now_ns
        floor.quote(px - 10, px + 10)
        open_ns = now // NS_PER_MIN * NS_PER_MIN
        if self.candle is None or self.candle.open_ns != open_ns:
            self.candle = Candle(open_ns, px, px, px, px, 5)
        c = self.candle
        self.candle = Candle(
            open_ns, c.open_px, max(c.high_px, px), min(c.low_px, px), px, c.volume_lots + 1
        )
        trades = (PublicTrade(px, 3, True, now, self.rng.randrange(10**6)),)
        floor.mark(px)
        return [
            CandleChanged(coin="BTC", interval_ns=NS_PER_MIN, candle=self.candle),
            BookChanged(coin="BTC", bids=((px - 10, 5),), asks=((px + 10, 7),)),
            TradesPrinted(coin="BTC", trades=trades),
        ]

    def carry(self) -> None:
        """Let commands travel: some get lost, some are carried out unanswered."""
        commands, self.floor.outbox = self.floor.outbox, []
        for command in commands:
            luck = self.rng.random()
            is_read = isinstance(command, LookUpOrder | ReportAccount | SetLeverage)
            if is_read or luck < 0.85:
                self.under_way += self.floor.venue.take(command)
                continue
            order = command.order if isinstance(command, ModifyOrder) else command
            lost = OrderUnanswered(coin=order.coin, cloid=order.cloid, reason="lost")
            if luck < 0.93:
                answers = self.floor.venue.take(command)
                self.under_way += [e for e in answers if isinstance(e, OrderFilled)]
            self.under_way.append(lost) if self.rng.random() < 0.5 else None

    def trouble(self) -> list[Event]:
        rng, floor = self.rng, self.floor
        kind = rng.randrange(8)
        now = floor.now_ns
        if kind == 0 and self.fills:
            return [rng.choice(self.fills)]
        if kind == 1:
            down = LinkChanged(channel=rng.choice(["user", "market"]), is_up=False)
            return [down, LinkChanged(channel=down.channel, is_up=True), *floor.venue.report()]
        if kind == 2:
            return [DataGap(coin="BTC", from_ns=now - 10 * NS_PER_S, to_ns=now)]
        if kind == 3:
            return [VenueUnavailable(reason="429", until_ns=now + 5 * NS_PER_S)]
        if kind == 4:
            amount = rng.randrange(-10_000_000, 10_000_000)
            floor.venue.cash += amount
            return [LedgerMoved(kind="deposit", amount_micro=amount, ts_exch_ns=now)]
        if kind == 5:
            lots = floor.venue.positions.get("BTC", 0)
            paid = -lots * self.px // 100_000
            floor.venue.cash += paid
            return [
                FundingPaid(
                    coin="BTC", funding_micro=paid, position_lots=lots, rate_1h=1e-5, ts_exch_ns=now
                )
            ]
        if kind == 6:
            return [RateBudgetReported(requests_used=rng.randrange(1, 12_000), requests_cap=10_000)]
        often = [OperatorAction.RESUME, OperatorAction.RESUME, OperatorAction.FLATTEN]
        floor.operate(rng.choice([*often, *OperatorAction]), settles=False, reason="whim")
        return []


@settings(max_examples=25)
@given(seed=SEEDS)
def test_replaying_the_events_gives_the_same_steps_and_the_same_state(seed):
    floor = RandomSession(seed).floor
    replica = new_engine()
    for event, step in zip(floor.events, floor.steps, strict=True):
        assert replica.process(event) == step
    assert replica.state_hash() == floor.engine.state_hash()
    assert replica.snapshot() == floor.engine.snapshot()


@settings(max_examples=25)
@given(seed=SEEDS, share=st.floats(0.0, 1.0))
def test_going_on_from_a_snapshot_changes_nothing(seed, share):
    floor = RandomSession(seed).floor
    cut = int(share * len(floor.events))
    first = new_engine()
    for event in floor.events[:cut]:
        first.process(event)
    second = new_engine()
    second.restore(first.snapshot())
    assert second.state_hash() == first.state_hash()
    for event, step in zip(floor.events[cut:], floor.steps[cut:], strict=True):
        assert second.process(event) == step
    assert second.state_hash() == floor.engine.state_hash()


@settings(max_examples=15)
@given(seed=SEEDS, share=st.floats(0.05, 1.0))
def test_hiding_the_future_changes_no_past_step(seed, share):
    floor = RandomSession(seed, length=60).floor
    cut = int(share * len(floor.events))
    engine = new_engine()
    assert [engine.process(e) for e in floor.events[:cut]] == floor.steps[:cut]


@settings(max_examples=25)
@given(seed=SEEDS)
def test_no_new_exposure_unless_active_and_no_id_is_used_twice(seed):
    floor = RandomSession(seed).floor
    ids: list[str] = []
    for step in floor.steps:
        for command in step.commands:
            order = command.order if isinstance(command, ModifyOrder) else command
            if not isinstance(order, PlaceOrder):
                continue
            ids.append(order.cloid)
            assert order.lots > 0 and order.px > 0 and order.px % 10 == 0
            assert order.reduce_only is (order.purpose not in (Purpose.ENTRY, Purpose.QUOTE))
            if not order.reduce_only:
                assert step.trading_state is TradingState.ACTIVE
    assert len(ids) == len(set(ids))


@settings(max_examples=25)
@given(seed=SEEDS)
def test_once_the_dust_settles_account_and_orders_equal_the_venues(seed):
    session = RandomSession(seed)
    floor = session.floor
    floor.operate(OperatorAction.FLATTEN, settles=False)
    floor.venue.ioc_share = 1.0
    floor.send(LinkChanged(channel="market", is_up=True))
    for _ in range(200):
        floor.send(*session.under_way)
        session.under_way.clear()
        floor.tick(2.0)
        floor.quote(session.px - 10, session.px + 10)
        floor.settle()
    floor.send(LinkChanged(channel="user", is_up=False), LinkChanged(channel="user", is_up=True))
    for _ in range(3):
        floor.send(*floor.venue.report())
        floor.tick(20.0)
    assert floor.engine.is_flat
    assert not floor.venue.positions.get("BTC")
    assert floor.engine.status().cash_micro == floor.venue.cash
    assert floor.venue.orders == {}
    assert floor.engine.status().orders == ()


@settings(max_examples=25)
@given(seed=SEEDS)
def test_orders_end_once_and_never_fill_beyond_their_size(seed):
    floor = RandomSession(seed).floor
    ended: dict[str, OrderStatus] = {}
    for step in floor.steps:
        for row in step.orders:
            assert 0 <= row.lots_left <= row.lots
            if row.cloid in ended and row.detail != "still open at the venue":
                late_fill = row.status is ended[row.cloid]
                assert late_fill, f"{row.cloid} was {ended[row.cloid]}, became {row.status}"
            if row.status not in (OrderStatus.IN_FLIGHT, OrderStatus.WORKING):
                ended[row.cloid] = row.status
            else:
                ended.pop(row.cloid, None)


def test_a_random_session_reaches_what_it_should():
    """The properties above mean little if nothing ever happens in a session."""
    kinds: set[str] = set()
    purposes: set[str] = set()
    for seed in range(60):
        for step in RandomSession(seed).floor.steps:
            kinds |= {type(c).__name__ for c in step.commands}
            purposes |= {f.purpose.value for f in step.fills if f.purpose is not None}
    assert kinds >= {"PlaceOrder", "CancelOrder", "ModifyOrder", "LookUpOrder", "ReportAccount"}
    assert purposes >= {"entry", "exit", "stop", "quote", "flatten"}


def test_a_snapshot_of_another_configuration_is_refused():
    floor = Floor().start()
    other = TradingEngine(config_of(max_open_positions=2), [FakeStrategy()], account=ACCOUNT)
    with pytest.raises(ValueError, match="same configuration"):
        other.restore(floor.engine.snapshot())
    with pytest.raises(ValueError, match="unreadable"):
        other.restore(b"nonsense")
