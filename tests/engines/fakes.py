"""A scripted strategy, a tiny venue and a floor that plays events through an engine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import count

import msgspec

from core.engines.trading_engine import TradingEngine
from core.model.account import Fill, OrderReport, PositionReport
from core.model.codes import (
    Direction,
    Mode,
    OperatorAction,
    OrderStatus,
    Regime,
    RejectionCode,
    Tif,
    TriggerKind,
)
from core.model.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
    SetLeverage,
)
from core.model.events import (
    AccountReported,
    BboChanged,
    CancelRejected,
    CandlesLoaded,
    ContextChanged,
    Event,
    InstrumentsListed,
    LeverageChanged,
    LinkChanged,
    OpenOrdersReported,
    OperatorCommanded,
    OrderFilled,
    OrderMissing,
    OrderRejected,
    OrderUpdated,
    SessionStarted,
    TimerTicked,
)
from core.model.instrument import Instrument
from core.model.intents import Intent, TargetPosition
from core.model.market import Candle
from core.model.settings import EngineConfig, SelectionParams, StrategiesConfig, TradingParams
from core.model.step import Step
from core.model.time import NS_PER_MIN, NS_PER_S

ACCOUNT = "0x" + "ab" * 20
T0 = 1_746_532_800 * NS_PER_S  # 2025-05-06 12:00:00 UTC
BTC = Instrument("BTC", 0, 5, leverage_max=40)
ETH = Instrument("ETH", 1, 4, leverage_max=25)
CASH = 10_000_000_000
PX = 1_000_000  # BTC at 100 000.0 USDC; the tick there is 10 units
STOP, TARGET = 99_000.0, 102_000.0


class FakeStrategy:
    """Wishes whatever the test says; ``None`` is no change."""

    def __init__(self, name: str = "fake", wish: Intent | None = None) -> None:
        self.name = name
        self.warm_up_count = 50
        self.regime_fit = dict.fromkeys(Regime, 1.0)
        self.wish = wish
        self.decide: Callable[[object], list[Intent]] | None = None
        self.views: list[object] = []

    def run(self, data, params=None):
        self.views.append(data)
        if self.decide is not None:
            return self.decide(data)
        return [] if self.wish is None else [self.wish]


def long(**changes: object) -> TargetPosition:
    """A wish to be long BTC, with stop and target."""
    fields = {
        "coin": "BTC",
        "strategy": "fake",
        "direction": Direction.LONG,
        "reason": "the test says so",
        "stop_price": STOP,
        "target_price": TARGET,
    }
    return TargetPosition(**{**fields, **changes})


def short(**changes: object) -> TargetPosition:
    return long(
        direction=Direction.SHORT, **{"stop_price": 101_000.0, "target_price": 98_000.0} | changes
    )


def flat() -> TargetPosition:
    return long(direction=Direction.FLAT, stop_price=None, target_price=None)


def config_of(**trading: object) -> EngineConfig:
    # All that the numbers in the tests follow from, so that other defaults break nothing here.
    fields = {
        "coins": ("BTC",),
        "candle_interval": "1m",
        "decision_seconds": 1.0,
        "default_leverage": 10,
        "max_risk_per_trade": 0.01,
        "slippage_tolerance": 0.0005,
        "max_position_ratio": 1.0,
        "max_exposure_ratio": 2.0,
        "max_margin_use": 0.5,
        "max_daily_loss": 0.02,
        "max_daily_drawdown": 0.05,
        "max_drawdown": 0.15,
        "trade_timeout_seconds": 3600.0,
        "data_age_seconds_max": 60.0,
        "spread_bps_max": 50.0,
        "price_band": 0.05,
        "order_answer_seconds": 10.0,
        "action_ttl_seconds": 30.0,
        "atr_multiplier": 2.0,
    }
    return EngineConfig(
        trading=TradingParams(**{**fields, **trading}),
        strategies=StrategiesConfig(selection=SelectionParams(fixed_strategy="fake")),
    )


def candles(
    count_: int = 200, px: int = PX, *, end_ns: int = T0, seed: int = 1
) -> tuple[Candle, ...]:
    """A quiet walk that ends near ``px``; every bar moves, so that the ATR is above 0."""
    rng = random.Random(seed)
    out, close = [], px
    for i in range(count_):
        open_px, close = close, px + rng.randrange(-400, 401, 10)
        high, low = max(open_px, close) + 100, min(open_px, close) - 100
        out.append(Candle(end_ns - (count_ - i) * NS_PER_MIN, open_px, high, low, close, 1_000))
    return tuple(out)


class TinyVenue:
    """Truth for one account: fills at the prices it is told, answers like the wire client."""

    def __init__(self, cash: int = CASH) -> None:
        self.cash = cash
        self.positions: dict[str, int] = {}
        self.orders: dict[str, tuple[int, PlaceOrder, int]] = {}
        self.past: dict[str, OrderUpdated] = {}
        self.touch: dict[str, tuple[int, int]] = {}
        self.ioc_share = 1.0
        self.now_ns = T0
        self._ids = count(1)

    def take(self, command: Command) -> list[Event]:
        """Carry out one command and return answers and fills, in the venue's order."""
        if isinstance(command, PlaceOrder):
            return self._place(command)
        if isinstance(command, ModifyOrder):
            if command.cloid not in self.orders:
                return [self._no(command.order, RejectionCode.ORDER_NOT_FOUND)]
            gone = self._end(command.cloid, OrderStatus.CANCELLED)
            return [gone, *self._place(command.order)]
        if isinstance(command, CancelOrder):
            if command.cloid in self.orders:
                return [self._end(command.cloid, OrderStatus.CANCELLED)]
            code = RejectionCode.ORDER_NOT_FOUND
            return [
                CancelRejected(
                    coin=command.coin, cloid=command.cloid, code=code, venue_text="already gone"
                )
            ]
        if isinstance(command, SetLeverage):
            return [LeverageChanged(coin=command.coin, leverage=command.leverage, is_cross=True)]
        if isinstance(command, LookUpOrder):
            return [self.look_up(command.cloid, command.coin)]
        assert isinstance(command, ReportAccount)
        return self.report()

    def look_up(self, cloid: str, coin: str) -> Event:
        if cloid in self.orders:
            oid, order, left = self.orders[cloid]
            return self._update(order, oid, OrderStatus.WORKING, left)
        return self.past.get(cloid) or OrderMissing(coin=coin, cloid=cloid)

    def report(self) -> list[Event]:
        """The account as it stands, open orders first."""
        rows = tuple(
            OrderReport(
                coin=o.coin,
                oid=oid,
                cloid=cloid,
                is_buy=o.is_buy,
                px=o.px,
                lots_orig=o.lots,
                lots_left=left,
                reduce_only=o.reduce_only,
                trigger_px=o.trigger.trigger_px if o.trigger else 0,
                ts_exch_ns=self.now_ns,
            )
            for cloid, (oid, o, left) in self.orders.items()
        )
        positions = tuple(
            PositionReport(
                coin=coin,
                position_lots=lots,
                entry_price=PX / 10 if coin == "BTC" else 3_000.0,
                leverage=10,
                is_cross=True,
                margin_used_micro=0,
            )
            for coin, lots in self.positions.items()
            if lots
        )
        return [
            OpenOrdersReported(orders=rows, ts_exch_ns=self.now_ns),
            AccountReported(
                account_value_micro=0,
                cash_micro=self.cash,
                margin_used_micro=0,
                withdrawable_micro=0,
                positions=positions,
                ts_exch_ns=self.now_ns,
            ),
        ]

    def fill(self, cloid: str, lots: int, px: int, *, is_last_word: bool = True) -> list[Event]:
        """Fill a resting order; the fill comes first, then the status if it is done."""
        oid, order, left = self.orders[cloid]
        lots = min(lots, left)
        if order.reduce_only:
            lots = min(lots, abs(self.positions.get(order.coin, 0)))
        fill = self._fill(order, oid, lots, px)
        left -= lots
        if left:
            self.orders[cloid] = (oid, order, left)
            return [fill]
        return [fill, self._end(cloid, OrderStatus.FILLED, left=0)] if is_last_word else [fill]

    def move(self, coin: str, bid: int, ask: int) -> list[Event]:
        """Let the market move: triggers wake at the mid, resting orders that are crossed fill."""
        self.touch[coin] = (bid, ask)
        mid, events = (bid + ask) // 2, []
        for cloid, (_, order, left) in list(self.orders.items()):
            if cloid not in self.orders or order.coin != coin:
                continue
            lots, px = self.positions.get(coin, 0), ask if order.is_buy else bid
            if order.reduce_only and lots * (1 if order.is_buy else -1) >= 0:
                events.append(self._end(cloid, OrderStatus.CANCELLED))
            elif order.trigger is not None:
                is_up = order.is_buy is (order.trigger.kind is TriggerKind.STOP_LOSS)
                level = order.trigger.trigger_px
                if mid >= level if is_up else mid <= level:
                    events += self.fill(cloid, left, px)
            elif order.px >= ask if order.is_buy else order.px <= bid:
                events += self.fill(cloid, left, order.px)
        return events

    def _place(self, order: PlaceOrder) -> list[Event]:
        oid = next(self._ids)
        held = self.positions.get(order.coin, 0)
        if order.reduce_only and held * (1 if order.is_buy else -1) >= 0:
            return [self._no(order, RejectionCode.REDUCE_ONLY_WOULD_INCREASE)]
        bid, ask = self.touch.get(order.coin, (0, 0))
        crosses = order.px >= ask > 0 if order.is_buy else 0 < order.px <= bid
        if order.trigger is not None:
            crosses = False
        if crosses and order.tif is Tif.ALO:
            return [self._no(order, RejectionCode.POST_ONLY_WOULD_MATCH)]
        lots = min(order.lots, abs(held)) if order.reduce_only else order.lots
        lots = math.floor(lots * self.ioc_share) if order.tif is Tif.IOC else lots
        if order.tif is Tif.IOC and not (crosses and lots):
            return [self._no(order, RejectionCode.IOC_NO_MATCH)]
        self.orders[order.cloid] = (oid, order, order.lots)
        if not crosses:
            return [self._update(order, oid, OrderStatus.WORKING, order.lots)]
        fill = self._fill(order, oid, lots, ask if order.is_buy else bid)
        return [self._end(order.cloid, OrderStatus.FILLED, left=order.lots - lots), fill]

    def _fill(self, order: PlaceOrder, oid: int, lots: int, px: int) -> OrderFilled:
        start = self.positions.get(order.coin, 0)
        fee = px * lots * 45 // 100_000
        signed = lots if order.is_buy else -lots
        self.positions[order.coin] = start + signed
        self.cash -= signed * px + fee
        return OrderFilled(
            fill=Fill(
                coin=order.coin,
                oid=oid,
                cloid=order.cloid,
                tid=next(self._ids),
                is_buy=order.is_buy,
                px=px,
                lots=lots,
                fee_micro=fee,
                is_maker=False,
                closed_pnl_micro=0,
                start_position_lots=start,
                ts_exch_ns=self.now_ns,
            )
        )

    def _end(self, cloid: str, status: OrderStatus, left: int | None = None) -> OrderUpdated:
        oid, order, remaining = self.orders.pop(cloid)
        word = self._update(order, oid, status, remaining if left is None else left)
        self.past[cloid] = word
        return word

    def _update(self, o: PlaceOrder, oid: int, status: OrderStatus, left: int) -> OrderUpdated:
        return OrderUpdated(
            coin=o.coin,
            oid=oid,
            cloid=o.cloid,
            status=status,
            is_buy=o.is_buy,
            px=o.px,
            lots_orig=o.lots,
            lots_left=left,
            venue_status=status.value,
        )

    def _no(self, order: PlaceOrder, code: RejectionCode) -> OrderRejected:
        word = self._update(order, 0, OrderStatus.REJECTED, order.lots)
        self.past[order.cloid] = word
        return OrderRejected(coin=order.coin, cloid=order.cloid, code=code, venue_text=code.value)


class Floor:
    """An engine, its events and steps; time moves only when told."""

    def __init__(
        self, wish: Intent | None = None, *, config: EngineConfig | None = None, cash: int = CASH
    ) -> None:
        self.strategy = FakeStrategy(wish=wish)
        self.config = config or config_of()
        self.engine = TradingEngine(self.config, [self.strategy], account=ACCOUNT)
        self.venue = TinyVenue(cash)
        self.now_ns = T0
        self.events: list[Event] = []
        self.steps: list[Step] = []
        self.outbox: list[Command] = []

    def send(self, *events: Event, after_s: float = 0.0) -> list[Step]:
        """Play events; commands gather in ``outbox``."""
        self.now_ns += round(after_s * NS_PER_S)
        self.venue.now_ns = self.now_ns
        first = len(self.steps)
        for event in events:
            stamped = msgspec.structs.replace(
                event, seq=len(self.events) + 1, ts_recv_ns=self.now_ns
            )
            self.events.append(stamped)
            step = self.engine.process(stamped)
            self.steps.append(step)
            self.outbox += step.commands
        return self.steps[first:]

    def start(
        self,
        *,
        positions: dict[str, int] | None = None,
        settles: bool = True,
        has_history: bool = True,
    ) -> Floor:
        """Come up: metadata, history, links, account truth, leverage, a first touch."""
        self.venue.positions = dict(positions or {})
        coins = self.config.trading.coins
        self.send(
            SessionStarted(
                session="test", mode=Mode.BACKTEST, account=ACCOUNT, version="0", config_json="{}"
            ),
            InstrumentsListed(instruments=(BTC, ETH)),
            *(
                CandlesLoaded(coin=coin, interval_ns=NS_PER_MIN, candles=candles())
                for coin in coins
                if has_history
            ),
            *(LinkChanged(channel=c, is_up=True) for c in ("rest", "market", "user")),
            *self.venue.report(),
        )
        for coin in coins:
            self.send(LeverageChanged(coin=coin, leverage=10, is_cross=True))
            self.mark(coin=coin)
            self.quote(coin=coin)
        if settles:
            self.settle()
        return self

    def quote(self, bid: int = PX - 10, ask: int = PX + 10, *, coin: str = "BTC") -> list[Step]:
        """Set the touch and nothing else; the venue knows it as well."""
        self.venue.touch[coin] = (bid, ask)
        return self.send(BboChanged(coin=coin, bid_px=bid, bid_lots=9, ask_px=ask, ask_lots=9))

    def mark(self, px: int = PX, *, coin: str = "BTC") -> list[Step]:
        return self.send(
            ContextChanged(coin=coin, mark_px=px, oracle_px=px, funding_rate_1h=0.0000125)
        )

    def move(self, px: int, *, coin: str = "BTC", settles: bool = True) -> None:
        """Move the market: the venue's orders meet it first, then the engine sees it."""
        fills = self.venue.move(coin, px - 10, px + 10)
        self.mark(px, coin=coin)
        self.quote(px - 10, px + 10, coin=coin)
        self.send(*fills)
        if settles:
            self.settle()

    def tick(self, seconds: float = 1.0, *, settles: bool = True) -> list[Step]:
        """Let time pass in one go."""
        steps = self.send(TimerTicked(), after_s=seconds)
        if settles:
            self.settle()
        return steps

    def settle(self, rounds_max: int = 20) -> None:
        """Carry commands to the venue and answers back until nothing is under way."""
        for _ in range(rounds_max):
            commands, self.outbox = self.outbox, []
            if not commands:
                return
            for command in commands:
                self.send(*self.venue.take(command))
        raise AssertionError(f"never settles, still {self.outbox}")

    def operate(self, action: OperatorAction, *, settles: bool = True, **fields: str) -> None:
        self.send(OperatorCommanded(action=action, who="tester", **fields))
        if settles:
            self.settle()

    def places(self) -> list[PlaceOrder]:
        """Orders waiting in the outbox to be placed."""
        return [c for c in self.outbox if isinstance(c, PlaceOrder)]

    def position(self, coin: str = "BTC") -> int:
        return self.engine._context.account.lots(coin)

    def working(self, purpose: str) -> list[PlaceOrder]:
        """Orders of a purpose that rest at the venue."""
        return [o for _, o, _ in self.venue.orders.values() if o.purpose.value == purpose]

    def alerts(self, name: str) -> list[str]:
        return [a.detail for step in self.steps for a in step.alerts if a.name == name]

    def refusals(self) -> list[str]:
        return [r.code.value for step in self.steps for r in step.refusals]

    def coin(self, coin: str = "BTC"):
        return next(c for c in self.engine.status().coins if c.coin == coin)
