"""The engine: a deterministic state machine from events to steps.

Same events in, same bytes out: no clock, no I/O, no log, no randomness. Time is the inbox's stamp
on each event. Everything the engine knows of market, account and orders came as an event, and
everything it wants is in the step it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.engines.context import Context, read_snapshot
from core.engines.decision import Decider
from core.engines.execution import Executor
from core.engines.market_regime import MarketRegime
from core.engines.market_state import CoinMarket
from core.engines.operator_desk import OperatorDesk
from core.engines.own_orders import OwnOrder
from core.engines.status_view import system_status
from core.engines.strangers import Strangers
from core.engines.supervision import Supervisor
from core.model.account import AttributedFill, OrderRow
from core.model.codes import OrderStatus, Purpose, Regime, TradingState
from core.model.events import (
    AccountReported,
    AnyEvent,
    BboChanged,
    BookChanged,
    CancelRejected,
    CandleChanged,
    CandlesLoaded,
    ContextChanged,
    DataGap,
    DataQuarantined,
    FundingPaid,
    InstrumentsListed,
    LedgerMoved,
    LeverageChanged,
    LeverageRejected,
    LeverageUnanswered,
    LinkChanged,
    OpenOrdersReported,
    OperatorCommanded,
    OrderFilled,
    OrderMissing,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
    RateBudgetReported,
    SessionEnded,
    SessionStarted,
    StateCarried,
    TimerTicked,
    TradesPrinted,
    VenueUnavailable,
)
from core.model.ids import is_engine_cloid
from core.model.ports import Strategy
from core.model.settings import EngineConfig
from core.model.status import SystemStatus
from core.model.step import Step
from core.model.time import NS_PER_MIN, NS_PER_MS, NS_PER_S, ns_from_seconds

HISTORY_MARGIN_COUNT = 60
INTENTS_PER_MS = 1_000


class TradingEngine:
    """Turn events into steps.

    Parameters
    ----------
    config : EngineConfig
        What may be risked, on which coins, and how strategies are chosen.
    strategies : sequence of Strategy
        Those that may be chosen, in order of preference.
    account : str
        Lowercase address that orders are placed for; part of every order id.

    Raises
    ------
    ConfigError
        If the fixed strategy is none of ``strategies``.
    """

    def __init__(
        self, config: EngineConfig, strategies: Sequence[Strategy], *, account: str
    ) -> None:
        needed = MarketRegime(config.strategies.regime).candle_count_min
        regime = config.strategies.regime
        ranked = regime.history_period + regime.volatility_period + regime.bollinger_period
        longest = 2 * _longest_period(config)
        warm_up = max([needed, ranked, longest, *(s.warm_up_count for s in strategies)])
        self._context = Context(
            config, account=account, candle_count=warm_up + HISTORY_MARGIN_COUNT
        )
        self._decider = Decider(self._context, strategies)
        self._executor = Executor(self._context, self._decider)
        self._strangers = Strangers(self._context)
        self._supervisor = Supervisor(self._context, self._strangers)
        self._operator = OperatorDesk(self._context, self._supervisor, self._configure)
        self._handlers: dict[type, Callable[[Any], None]] = self._dispatch_table()
        self._configure()

    def process(self, event: AnyEvent) -> Step:
        """Take one event and return what follows from it.

        Parameters
        ----------
        event : AnyEvent
            With the inbox's ``seq`` and ``ts_recv_ns``; without the latter ``ts_exch_ns`` counts.
            Time never runs backwards.
        """
        context, facts = self._context, self._context.facts
        facts.seq = event.seq
        now_ns = event.ts_recv_ns or event.ts_exch_ns
        if now_ns > facts.now_ns:
            facts.now_ns = now_ns
        self._handlers[type(event)](event)
        second = facts.now_ns // NS_PER_S
        if second != facts.second:
            facts.second = second
            self._every_second()
        if context.dirty:
            self._settle()
        return context.finish()

    # --- what others ask --------------------------------------------------------------------

    @property
    def is_flat(self) -> bool:
        """Whether no position is open of those that flattening closes."""
        context = self._context
        return not any(context.in_scope(coin) for coin in context.account.positions)

    @property
    def is_ended(self) -> bool:
        """Whether the session ended in order."""
        return self._context.facts.is_ended

    @property
    def is_guarded(self) -> bool:
        """Whether every position of a traded coin has a stop of its size, working or in flight."""
        context = self._context
        return all(
            any(o.purpose is Purpose.STOP and o.lots_left >= abs(p.lots) for o in orders)
            for coin, p in context.account.positions.items()
            if coin in context.trading.coins
            for orders in [tuple(context.orders.of(coin))]
        )

    @property
    def stray_coins(self) -> tuple[str, ...]:
        """Coins that hold something of ours and are not traded: nobody brings their prices."""
        desks = self._context.desks.values()
        return tuple(desk.coin for desk in desks if not desk.is_traded)

    @property
    def fills_known_ns(self) -> int:
        """Venue time up to which fills and cash flows are known, 0 before the first report."""
        facts = self._context.account.facts
        return max(facts.fill_ns, facts.adopted_ns)

    @property
    def is_emergency_latched(self) -> bool:
        """Whether a risk limit has shut trading down until an operator resumes it."""
        return bool(self._context.risk.state.emergency)

    def asset_of(self, coin: str) -> int:
        """Return the venue's number of a coin.

        Raises
        ------
        KeyError
            If the venue has not listed the coin.
        """
        return self._context.tokens.instruments[coin].asset

    def cancellable_orders(self) -> tuple[OrderRow, ...]:
        """Return our open orders that protect no position."""
        orders = self._context.orders.facts.open.values()
        return tuple(order.row() for order in orders if not order.is_protective)

    def status(self) -> SystemStatus:
        """Return the read-only picture of everything."""
        return system_status(self._context, self._decider)

    def state_hash(self) -> str:
        """Return a hash over all state; equal states give equal hashes."""
        return self._context.state_hash()

    def snapshot(self) -> bytes:
        """Return all state as bytes, for `restore`."""
        return self._context.snapshot()

    def restore(self, packed: bytes) -> None:
        """Continue from a snapshot of an engine with the same configuration and strategies.

        Raises
        ------
        ValueError
            If the bytes are no such snapshot.
        """
        saved = self._context.read(packed)
        self._context.restore(saved)
        self._configure()

    # --- the path ---------------------------------------------------------------------------

    def _configure(self) -> None:
        """Rebuild what holds parameters, with the operator's changes applied."""
        self._operator.apply_settings()
        self._decider.configure()
        self._executor.configure()
        trading = self._context.trading
        self._decision_ns = ns_from_seconds(trading.decision_seconds)

    def _decide_if_due(self, market: CoinMarket) -> None:
        desk = self._context.desks[market.coin]
        now_ns = self._context.facts.now_ns
        if desk.is_due or now_ns - desk.decided_ns >= self._decision_ns:
            self._decider.decide(desk)

    def _settle(self) -> None:
        """Bring the orders of all touched desks in line; fresh fills are decided on first."""
        context = self._context
        desks = list(context.dirty.values())
        context.dirty.clear()
        for desk in desks:
            if desk.is_due:
                self._decider.decide(desk)
            self._executor.reconcile(desk)
        # Deciding touches desks that are being looked at in this very loop.
        context.dirty.clear()

    def _every_second(self) -> None:
        """Look at what time alone brings about: silence, time-outs, limits, samples."""
        context, facts = self._context, self._context.facts
        if not facts.is_started:
            return
        for command in context.orders.due_look_ups(facts.now_ns):
            context.command(command)
        if context.orders.give_up_settling():
            self._supervisor.doubt()
        self._strangers.tidy()
        self._supervisor.ask_again()
        self._supervisor.watch()
        if facts.trading_state is TradingState.ACTIVE:
            for desk in context.desks.values():
                if not desk.leverage_set:
                    self._executor.ask_leverage(desk)
        context.touch_all()
        minute = facts.now_ns // NS_PER_MIN
        if minute != facts.minute:
            facts.minute = minute
            context.sample_equity()

    # --- handlers: market -------------------------------------------------------------------

    def _on_bbo(self, event: BboChanged) -> None:
        market = self._context.market.apply_bbo(event, self._context.facts.now_ns)
        if market is not None:
            self._decide_if_due(market)

    def _on_book(self, event: BookChanged) -> None:
        market = self._context.market.apply_book(event, self._context.facts.now_ns)
        if market is not None:
            self._decide_if_due(market)

    def _on_candle(self, event: CandleChanged) -> None:
        market = self._context.market.apply_candle(event)
        if market is not None:
            self._judge(market)

    def _on_candles(self, event: CandlesLoaded) -> None:
        market = self._context.market.apply_history(event)
        if market is not None:
            self._judge(market)

    def _judge(self, market: CoinMarket) -> None:
        """Judge a coin after a closed candle, and decide on it."""
        instrument = self._context.tokens.instruments.get(market.coin)
        if instrument is None:
            return
        desk = self._context.desks[market.coin]
        self._decider.judge(desk, market, instrument)
        desk.is_due = True
        self._decide_if_due(market)

    def _on_context(self, event: ContextChanged) -> None:
        market = self._context.market.apply_context(event)
        if market is None:
            return
        if market.coin in self._context.account.positions:
            self._supervisor.watch()
        self._decide_if_due(market)

    def _on_trades(self, event: TradesPrinted) -> None:
        """Pass over public trades: candles and touch carry what is decided on."""

    def _on_gap(self, event: DataGap) -> None:
        self._context.market.apply_gap(event.coin, event.from_ns, event.to_ns)

    def _on_instruments(self, event: InstrumentsListed) -> None:
        context = self._context
        context.tokens.list(event.instruments)
        for coin, desk in context.desks.items():
            instrument = context.tokens.instruments.get(coin)
            if instrument is None:
                context.alert("error", "instrument_unknown", f"{coin} is not listed by the venue")
            elif context.market.coins[coin].ring.count and desk.regime.regime is Regime.UNKNOWN:
                self._judge(context.market.coins[coin])
        self._supervisor.refresh()

    # --- handlers: account and orders -------------------------------------------------------

    def _on_fill(self, event: OrderFilled) -> None:
        context, fill = self._context, event.fill
        instrument = context.tokens.instruments.get(fill.coin)
        if instrument is not None and instrument.is_spot:
            return
        lots_before = context.account.lots(fill.coin)
        if context.account.apply_fill(fill, context.facts.now_ns) is None:
            return
        order = context.orders.on_fill(fill, context.facts.now_ns)
        context.fill(
            AttributedFill(
                fill=fill,
                strategy=order.strategy if order is not None else "",
                purpose=order.purpose if order is not None else None,
                regime=order.regime if order is not None else Regime.UNKNOWN,
                arrival_mid_x2=order.arrival_mid_x2 if order is not None else 0,
            )
        )
        if order is not None:
            self._follow(order)
        else:
            self._strangers.note_fill(fill)
        if fill.is_liquidation:
            context.alert("error", "liquidated", f"{fill.coin} {fill.lots} lots at {fill.px}")
            context.risk.emergency_handler(f"the venue liquidated {fill.coin}")
        elif fill.start_position_lots != lots_before:
            detail = f"{fill.coin} was {lots_before} lots here, {fill.start_position_lots} there"
            context.alert("warning", "fill_out_of_order", detail)
            self._supervisor.doubt()
        self._executor.on_position(fill, order, lots_before)
        self._supervisor.watch()

    def _on_updated(self, event: OrderUpdated) -> None:
        orders, key = self._context.orders, str(event.oid)
        was_foreign = key in orders.facts.foreign
        order = orders.on_updated(event, self._context.facts.now_ns)
        if order is not None:
            self._follow(order)
            return
        report = orders.facts.foreign.get(key)
        if report is None or was_foreign:
            return
        if is_engine_cloid(self._context.account_address, report.cloid):
            self._supervisor.ask_report()
        else:
            self._strangers.note_orders([report])
            self._supervisor.refresh()

    def _on_rejected(self, event: OrderRejected) -> None:
        order = self._context.orders.on_rejected(event, self._context.facts.now_ns)
        if order is not None:
            self._follow(order)

    def _on_cancel_rejected(self, event: CancelRejected) -> None:
        self._context.orders.on_cancel_rejected(event, self._context.facts.now_ns)
        self._look_up_now()

    def _on_unanswered(self, event: OrderUnanswered) -> None:
        self._context.orders.on_unanswered(event, self._context.facts.now_ns)
        self._look_up_now()

    def _on_missing(self, event: OrderMissing) -> None:
        order = self._context.orders.on_missing(event, self._context.facts.now_ns)
        if order is not None:
            self._follow(order)

    def _look_up_now(self) -> None:
        for command in self._context.orders.due_look_ups(self._context.facts.now_ns):
            self._context.command(command)

    def _follow(self, order: OwnOrder) -> None:
        """Draw the consequences of an order's change: wait after a no, look at its desk."""
        context = self._context
        if order.ended_badly:
            self._executor.on_ended_badly(order)
        elif order.status in (OrderStatus.WORKING, OrderStatus.FILLED):
            self._executor.on_order_lives(order)
        desk = context.desks.get(order.coin)
        if desk is not None:
            context.touch(desk)
        self._look_up_now()

    def _on_funding(self, event: FundingPaid) -> None:
        if self._context.account.apply_funding(event):
            self._supervisor.watch()

    def _on_ledger(self, event: LedgerMoved) -> None:
        if self._context.account.apply_ledger(event):
            self._context.facts.moved_micro += event.amount_micro
            self._context.alert("info", "money_moved", f"{event.kind} {event.amount_micro} micro")
            self._supervisor.watch()

    def _on_account(self, event: AccountReported) -> None:
        self._supervisor.on_account(event)

    def _on_open_orders(self, event: OpenOrdersReported) -> None:
        self._supervisor.on_open_orders(event)
        self._look_up_now()

    def _on_leverage(self, event: LeverageChanged) -> None:
        desk = self._context.desks.get(event.coin)
        if desk is not None:
            desk.leverage_set = event.leverage
            self._context.touch(desk)

    def _on_leverage_rejected(self, event: LeverageRejected) -> None:
        self._context.alert("warning", "leverage_rejected", f"{event.coin}: {event.venue_text}")

    def _on_leverage_unanswered(self, event: LeverageUnanswered) -> None:
        """Leave the leverage unknown: no entries, and it is asked again once that is safe."""
        self._context.alert("warning", "leverage_unanswered", f"{event.coin}: {event.reason}")

    # --- handlers: the rest -----------------------------------------------------------------

    def _on_started(self, event: SessionStarted) -> None:
        facts = self._context.facts
        facts.session, facts.mode, facts.is_started = event.session, event.mode, True
        # A later session of the same account starts above all ids of an earlier one.
        start_ns = event.ts_recv_ns or event.ts_exch_ns
        facts.intent_seq = max(facts.intent_seq, start_ns // NS_PER_MS * INTENTS_PER_MS)
        facts.started_ns = facts.now_ns

    def _on_carried(self, event: StateCarried) -> None:
        """Continue an earlier session's state; agreement with the venue is still to come."""
        context = self._context
        saved = read_snapshot(event.packed)
        is_same = context.carry(saved)
        self._configure()
        context.alert("info", "state_carried", f"from {event.session}, event {event.at_seq}")
        if not is_same and saved.facts.settings:
            names = ", ".join(".".join(filter(None, s[:2])) for s in saved.facts.settings)
            context.alert("warning", "parameters_dropped", f"configuration changed: {names}")
        if context.risk.state.emergency:
            detail = f"still in force, until an operator resumes: {context.risk.state.emergency}"
            context.alert("error", "emergency_latched", detail)
        self._supervisor.refresh()

    def _on_ended(self, event: SessionEnded) -> None:
        self._context.facts.is_ended = True
        self._context.sample_equity()
        self._supervisor.refresh()

    def _on_budget(self, event: RateBudgetReported) -> None:
        facts = self._context.facts
        facts.requests_used, facts.requests_cap = event.requests_used, event.requests_cap
        facts.ip_weight_used, facts.ip_weight_cap = event.ip_weight_used, event.ip_weight_cap

    def _on_unavailable(self, event: VenueUnavailable) -> None:
        facts = self._context.facts
        facts.venue_until_ns = max(facts.venue_until_ns, event.until_ns)
        self._context.alert("warning", "venue_unavailable", event.reason)

    def _on_quarantined(self, event: DataQuarantined) -> None:
        self._context.facts.quarantined_count += 1
        self._context.alert("warning", "data_quarantined", f"{event.source}: {event.detail}")

    def _on_link(self, event: LinkChanged) -> None:
        self._supervisor.on_link(event)

    def _on_timer(self, event: TimerTicked) -> None:
        """Do nothing of its own: time has moved, and the second is looked at for every event."""

    def _on_operator(self, event: OperatorCommanded) -> None:
        self._operator.handle(event, tuple(self._decider.strategies))

    def _dispatch_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            BboChanged: self._on_bbo,
            BookChanged: self._on_book,
            TradesPrinted: self._on_trades,
            CandleChanged: self._on_candle,
            CandlesLoaded: self._on_candles,
            ContextChanged: self._on_context,
            DataGap: self._on_gap,
            InstrumentsListed: self._on_instruments,
            OrderFilled: self._on_fill,
            OrderUpdated: self._on_updated,
            OrderRejected: self._on_rejected,
            CancelRejected: self._on_cancel_rejected,
            OrderUnanswered: self._on_unanswered,
            OrderMissing: self._on_missing,
            LeverageChanged: self._on_leverage,
            LeverageRejected: self._on_leverage_rejected,
            LeverageUnanswered: self._on_leverage_unanswered,
            FundingPaid: self._on_funding,
            LedgerMoved: self._on_ledger,
            AccountReported: self._on_account,
            OpenOrdersReported: self._on_open_orders,
            RateBudgetReported: self._on_budget,
            LinkChanged: self._on_link,
            VenueUnavailable: self._on_unavailable,
            DataQuarantined: self._on_quarantined,
            TimerTicked: self._on_timer,
            OperatorCommanded: self._on_operator,
            SessionStarted: self._on_started,
            StateCarried: self._on_carried,
            SessionEnded: self._on_ended,
        }


def _longest_period(config: EngineConfig) -> int:
    """Return the longest period that any part of the configuration looks back over, in candles."""
    sections = [getattr(config.strategies, name) for name in config.strategies.__struct_fields__]
    periods: list[int] = [
        getattr(section, name)
        for section in sections
        for name in section.__struct_fields__
        if name.endswith("_period")
    ]
    return max(periods)
