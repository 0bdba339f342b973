"""Bring one desk's orders in line with its wish: situation, difference, gate, commands.

Knows when a position must go whatever is wished (time-out, broken stop, flattening), and when to
wait after a no of the venue. The rules of what should exist are `order_execution`'s, those of
what may be sent `risk_management`'s.
"""

from __future__ import annotations

from core.engines.context import Context
from core.engines.decision import Decider
from core.engines.desk import BACKOFF_NS_MAX, Desk
from core.engines.exposure import exposure_of, exposures
from core.engines.market_state import CoinMarket
from core.engines.order_execution import OrderExecutionEngine, OrderWish, Situation
from core.engines.own_orders import OwnOrder, Question
from core.engines.position_sizing import is_tradable
from core.engines.risk_management import GateFacts, OrderProposal, Verdict
from core.model.account import Fill
from core.model.codes import Direction, Purpose, RefusalCode, TradingState
from core.model.commands import CancelOrder, ModifyOrder, PlaceOrder, SetLeverage
from core.model.ids import order_cloid
from core.model.instrument import Instrument
from core.model.intents import TargetPosition
from core.model.time import NS_PER_S, interval_ns, ns_from_seconds

REENTRY_CANDLES = 3
"""Candles without entries in a direction after its stop or time-out: the same idea, asked again at
once, would only pay fees."""
DEFAULT_STOP_ATRS = 6.0
"""Stop of a position that came without one (adopted from the venue), in ATRs from the mark."""
DEFAULT_STOP_RATIO = 0.03
"""The same while no ATR is known, as a share of the mark."""
CLOSE_SLIPPAGE_MAX = 0.05
CLOSE_BACKOFF_NS_MAX = 4 * NS_PER_S
PROTECT_BACKOFF_NS_MAX = 30 * NS_PER_S
LEVERAGE_RETRY_NS = 60 * NS_PER_S

_OPENING = (Purpose.ENTRY, Purpose.QUOTE)
_ROOM_CODES = (
    RefusalCode.POSITION_TOO_LARGE,
    RefusalCode.EXPOSURE_TOO_LARGE,
    RefusalCode.MARGIN_INSUFFICIENT,
)


class Executor:
    """Send what is missing between a desk's wish and its orders."""

    def __init__(self, context: Context, decider: Decider) -> None:
        self._context = context
        self._decider = decider
        # What each desk looked like when there was last nothing to send: a cache, not state.
        self._at_rest: dict[str, tuple[object, ...]] = {}
        self.configure()

    def configure(self) -> None:
        """Take over the parameters in force."""
        self._at_rest.clear()
        trading = self._context.trading
        self._engine = OrderExecutionEngine(trading)
        self._timeout_ns = ns_from_seconds(trading.trade_timeout_seconds)
        self._reentry_ns = REENTRY_CANDLES * interval_ns(trading.candle_interval)

    # --- one desk ---------------------------------------------------------------------------

    def reconcile(self, desk: Desk) -> None:
        """Compare a desk's orders with its wish and send the difference."""
        context = self._context
        instrument = context.tokens.instruments.get(desk.coin)
        if instrument is None:
            return
        market = context.market.coins[desk.coin]
        orders = tuple(context.orders.of(desk.coin))
        lots = context.account.lots(desk.coin)
        if not lots and not orders and not self._wants_entry(desk):
            return
        if desk.is_traded or context.trading.foreign_positions == "adopt":
            self._guard(desk, market, instrument, lots)
        desk.closing = self._why_close(desk, market, orders, lots)
        # Nothing in it changed since nothing had to be sent: nothing has to be sent now.
        picture = self._picture(desk, market, lots)
        if self._at_rest.get(desk.coin) == picture:
            context.note_decision(desk)
            return
        situation = self._situation(desk, market, instrument, orders, lots)
        difference = self._engine.execute_order(desk.wish, situation)
        if difference.is_empty:
            self._at_rest[desk.coin] = picture
        else:
            self._at_rest.pop(desk.coin, None)
        for order in difference.cancels:
            cancel = CancelOrder(order.cloid, order.oid, order.coin, order.asset)
            context.command(cancel)
            context.orders.sent(cancel, desk.regime.regime, context.facts.now_ns)
        changes: list[tuple[OwnOrder | None, OrderWish]] = [
            *difference.modifies,
            *((None, wish) for wish in difference.places),
        ]
        gate = _Gate(context, desk, market, instrument, self._decider.warm_up_count(desk))
        self._send_allowed(desk, changes, gate)
        if not lots and situation.may_open:
            self._look_for_dust(desk, market, instrument)
        context.note_decision(desk)

    def _send_allowed(
        self, desk: Desk, changes: list[tuple[OwnOrder | None, OrderWish]], gate: _Gate
    ) -> None:
        """Send what patience and gate let through; report the first no, if any, once."""
        context = self._context
        refused: Verdict = None
        has_opened = False
        for replaced, wish in changes:
            if context.facts.now_ns < desk.backoff(wish.purpose).until_ns:
                continue
            if wish.purpose is Purpose.ENTRY and gate.is_closing:
                continue
            verdict = self._check(desk, wish, gate, replaced)
            if verdict is None:
                self._send(desk, wish, gate, replaced)
                has_opened = has_opened or wish.purpose in _OPENING
            elif not (verdict[0] in _ROOM_CODES and gate.is_making_room):
                refused = refused or verdict
        if refused is not None:
            context.refuse(desk, *refused)
            if refused[0] is RefusalCode.LEVERAGE_UNKNOWN:
                self.ask_leverage(desk)
        elif has_opened:
            context.allow(desk)

    def _look_for_dust(self, desk: Desk, market: CoinMarket, instrument: Instrument) -> None:
        """Say so when what may be held is below the venue's minimum."""
        is_position = isinstance(desk.wish, TargetPosition) and self._wants_entry(desk)
        if is_position and desk.bound_by and market.bid_px:
            px = market.bid_px
            if not is_tradable(instrument, lots=desk.wish_lots, px=px):
                value = instrument.notional_micro(px, desk.wish_lots) / 1e6
                detail = f"was {value:.2f} USDC, least 10, bound by {desk.bound_by}"
                self._context.refuse(desk, RefusalCode.ORDER_TOO_SMALL, detail)

    def _picture(self, desk: Desk, market: CoinMarket, lots: int) -> tuple[object, ...]:
        """Return everything that the difference depends on, for comparison."""
        facts = self._context.facts
        return (
            desk.is_traded,
            market.bid_px,
            market.ask_px,
            lots,
            desk.wish,
            desk.wish_lots,
            desk.quote_lots,
            desk.stop_px,
            desk.target_px,
            desk.closing,
            desk.strategy,
            desk.refusal,
            desk.is_closing_asked,
            facts.is_flattening,
            facts.trading_state,
            facts.account_agreed and facts.orders_agreed,
            self._context.orders.version,
        )

    def _wants_entry(self, desk: Desk) -> bool:
        wish = desk.wish
        if wish is None:
            return False
        return not (isinstance(wish, TargetPosition) and wish.direction is Direction.FLAT)

    def _situation(
        self,
        desk: Desk,
        market: CoinMarket,
        instrument: Instrument,
        orders: tuple[OwnOrder, ...],
        lots: int,
    ) -> Situation:
        context, facts = self._context, self._context.facts
        is_flattening = self._is_flattening(desk) or desk.is_closing_asked
        has_agreed = facts.account_agreed and facts.orders_agreed
        guards = desk.is_traded or context.trading.foreign_positions == "adopt"
        must_close = None
        if desk.closing:
            must_close = Purpose.FLATTEN if is_flattening else Purpose.EXIT
        tries = desk.backoff(Purpose.EXIT).count
        slippage = context.trading.slippage_tolerance
        return Situation(
            instrument=instrument,
            bid_px=market.bid_px,
            ask_px=market.ask_px,
            position_lots=lots,
            wish_lots=desk.wish_lots,
            quote_lots=desk.quote_lots,
            stop_px=desk.stop_px,
            target_px=desk.target_px,
            must_close=must_close,
            close_slippage=min(
                CLOSE_SLIPPAGE_MAX,
                context.trading.price_band,
                slippage + 0.001 * ((1 << min(tries, 6)) - 1),
            ),
            may_open=(
                facts.trading_state is TradingState.ACTIVE and not is_flattening and desk.is_traded
            ),
            may_close=facts.trading_state is not TradingState.HALTED or is_flattening,
            may_protect=(has_agreed and guards) or is_flattening,
            open_orders=orders,
        )

    def _is_flattening(self, desk: Desk) -> bool:
        """Tell whether everything is being closed, and this coin is part of everything."""
        return self._context.facts.is_flattening and self._context.in_scope(desk.coin)

    def _guard(self, desk: Desk, market: CoinMarket, instrument: Instrument, lots: int) -> None:
        """Take over the standing wish's guards where none are set; a position never has none."""
        if not desk.stop_px and desk.wish is not None:
            self._decider.set_bracket(desk, desk.wish, instrument)
        px = market.value_px
        if not lots or desk.stop_px or not px:
            return
        atr_px = desk.profile.atr * instrument.px_scale
        is_long = lots > 0
        # Without history there is no ATR yet (it is nan then), but the position is there.
        wanted = DEFAULT_STOP_ATRS * atr_px if atr_px > 0.0 else DEFAULT_STOP_RATIO * px
        distance = min(wanted, 0.5 * px)
        price = (px - distance if is_long else px + distance) / instrument.px_scale
        desk.stop_px = instrument.px_units_on_grid(price, is_buy=not is_long)
        self._context.alert(
            "warning",
            "position_without_stop",
            f"{desk.coin} came without a stop and gets {instrument.px_text(desk.stop_px)}",
        )

    def _why_close(
        self, desk: Desk, market: CoinMarket, orders: tuple[OwnOrder, ...], lots: int
    ) -> str:
        """Return why the position must go whatever is wished; empty if it need not."""
        context = self._context
        if not lots:
            return ""
        if self._is_flattening(desk):
            return context.facts.hold_reason or "everything is being closed"
        if desk.is_closing_asked:
            return "closed by the operator"
        if not desk.is_traded:
            return ""
        age_ns = context.facts.now_ns - context.account.positions[desk.coin].opened_ns
        if age_ns >= self._timeout_ns:
            return f"held for {context.trading.trade_timeout_seconds:.0f} s"
        if any(o.purpose is Purpose.STOP for o in orders):
            return ""
        mark_px, is_long = market.mark_px, lots > 0
        is_past = desk.stop_px > 0 and (
            0 < mark_px <= desk.stop_px if is_long else mark_px >= desk.stop_px
        )
        return "price is beyond the stop" if is_past else ""

    # --- one order --------------------------------------------------------------------------

    def _check(
        self, desk: Desk, wish: OrderWish, gate: _Gate, replaced: OwnOrder | None
    ) -> Verdict:
        proposal = OrderProposal(
            purpose=wish.purpose,
            is_buy=wish.is_buy,
            px=wish.px,
            lots=wish.lots,
            reduce_only=wish.reduce_only,
            needs_stop=wish.purpose is Purpose.ENTRY,
            stop_px=desk.stop_px,
            replaced_lots=replaced.lots_left if replaced is not None else 0,
        )
        return self._context.risk.check_order(proposal, gate.facts())

    def _send(self, desk: Desk, wish: OrderWish, gate: _Gate, replaced: OwnOrder | None) -> None:
        context, facts = self._context, self._context.facts
        facts.intent_seq += 1
        facts.requests_used += 1
        strategy = desk.strategy or (replaced.strategy if replaced is not None else "")
        place = PlaceOrder(
            cloid=order_cloid(context.account_address, strategy, facts.intent_seq, 0),
            coin=desk.coin,
            asset=gate.instrument.asset,
            is_buy=wish.is_buy,
            px=wish.px,
            lots=wish.lots,
            tif=wish.tif,
            reduce_only=wish.reduce_only,
            trigger=wish.trigger,
            purpose=wish.purpose,
            strategy=strategy,
            # A woken trigger fills long after this: what it is measured against is its own price.
            arrival_mid_x2=2 * wish.trigger.trigger_px if wish.trigger else gate.market.mid_x2,
        )
        command = ModifyOrder(replaced.cloid, replaced.oid, place) if replaced else place
        context.command(command)
        context.orders.sent(command, desk.regime.regime, facts.now_ns)

    # --- what came back ---------------------------------------------------------------------

    def on_ended_badly(self, order: OwnOrder) -> None:
        """Wait before the next try, longer each time; getting out waits least."""
        context = self._context
        desk = context.desks.get(order.coin)
        if desk is None:
            return
        limit_ns = BACKOFF_NS_MAX
        if order.purpose in (Purpose.EXIT, Purpose.FLATTEN):
            limit_ns = CLOSE_BACKOFF_NS_MAX
        elif order.is_protective:
            if not context.account.lots(order.coin):
                # The venue cancels reduce-only orders itself once there is nothing to reduce.
                return
            limit_ns = PROTECT_BACKOFF_NS_MAX
        desk.backoff(order.purpose).fail(context.facts.now_ns, ns_max=limit_ns)

    def on_order_lives(self, order: OwnOrder) -> None:
        """Forget the failures of a lane whose order was accepted."""
        desk = self._context.desks.get(order.coin)
        if desk is not None and order.purpose not in (Purpose.EXIT, Purpose.FLATTEN):
            desk.backoff(order.purpose).succeed()

    def on_position(self, fill: Fill, order: OwnOrder | None, lots_before: int) -> None:
        """Follow a position that a fill changed: decide again, and learn from how it ended."""
        context = self._context
        desk = context.desks.get(fill.coin)
        if desk is None:
            return
        lots = context.account.lots(fill.coin)
        desk.is_due = True
        context.touch(desk)
        is_gone = lots_before != 0 and lots == 0
        is_flipped = lots_before * lots < 0
        if not (is_gone or is_flipped):
            return
        purpose = order.purpose if order is not None else None
        was_forced = bool(desk.closing) or purpose in (Purpose.STOP, Purpose.TARGET)
        if was_forced or order is None:
            side = Direction.LONG if lots_before > 0 else Direction.SHORT
            desk.bar(side, context.facts.now_ns + self._reentry_ns)
            desk.drop_wish()
        desk.forget_position()

    def ask_leverage(self, desk: Desk) -> None:
        """Set a coin's leverage at the venue until it is confirmed.

        Once per minute, and never while a question before may still arrive.
        """
        context, now_ns = self._context, self._context.facts.now_ns
        instrument = context.tokens.instruments.get(desk.coin)
        wait_ns = max(LEVERAGE_RETRY_NS, context.orders.dead_ns)
        is_waiting = desk.leverage_asked_ns and now_ns - desk.leverage_asked_ns < wait_ns
        if instrument is None or desk.leverage_set or is_waiting or not desk.is_traded:
            return
        desk.leverage_asked_ns = now_ns
        leverage = context.tokens.leverage_of(desk.coin)
        is_cross = not instrument.is_isolated_only
        context.command(SetLeverage(desk.coin, instrument.asset, leverage, is_cross))


class _Gate:
    """The gate's facts about one desk, put together when first needed and after each order."""

    def __init__(
        self,
        context: Context,
        desk: Desk,
        market: CoinMarket,
        instrument: Instrument,
        warm_up_count: int,
    ) -> None:
        self._context = context
        self._desk = desk
        self.market = market
        self.instrument = instrument
        self._warm_up_count = warm_up_count

    @property
    def is_closing(self) -> bool:
        """Whether an order that closes is still open: entries wait until it is done."""
        orders = self._context.orders.of(self._desk.coin)
        return any(o.purpose in (Purpose.EXIT, Purpose.FLATTEN) for o in orders)

    @property
    def is_making_room(self) -> bool:
        """Whether orders of this coin are on their way out, which count until they are gone."""
        orders = self._context.orders.of(self._desk.coin)
        leaving = (Question.CANCEL, Question.MODIFY)
        return any(o.question in leaving or o.ending is not None for o in orders)

    def facts(self) -> GateFacts:
        """Return the facts as they are now, orders of this very step included."""
        context, desk, market = self._context, self._desk, self.market
        facts, orders = context.facts, list(context.orders.of(desk.coin))
        return GateFacts(
            now_ns=facts.now_ns,
            trading_state=facts.trading_state,
            equity_micro=context.equity_micro(),
            instrument=self.instrument,
            own=exposure_of(context, desk.coin),
            others=tuple(e for e in exposures(context) if e.coin != desk.coin),
            touch_ns=market.touch_ns,
            spread_bps=market.spread_bps,
            mark_px=market.mark_px,
            has_gap=market.has_gap,
            is_warm=market.ring.count >= self._warm_up_count,
            leverage_set=desk.leverage_set,
            venue_until_ns=facts.venue_until_ns,
            requests_used=facts.requests_used,
            requests_cap=facts.requests_cap,
            open_orders=context.orders.open_count,
            open_orders_of_coin=len(orders),
            open_in_flight=sum(
                o.purpose is Purpose.ENTRY and not o.is_settled_working and not o.replaced_by
                for o in orders
            ),
        )
