"""What others do on our account: their orders and positions, and orders of ours we forgot.

Recognises them, says so once, and does what the configuration says: leave alone, take over, or
stop. An order is ours if this account's engine gave it its client id, whoever remembers it. Knows
no wishes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.engines.context import Context
from core.engines.own_orders import OwnOrder, Question
from core.model.account import Fill, OrderReport
from core.model.codes import OrderStatus, Purpose, Regime, Tif, TradingState, TriggerKind
from core.model.commands import CancelOrder, Trigger
from core.model.time import NS_PER_S

CANCEL_GAP_NS = 30 * NS_PER_S
"""Least time between two cancels of one foreign order."""

_ORDERS_FATE = {
    "ignore": "counted, never touched",
    "adopt": "cancelled where we trade",
    "stop": "trading stops",
}
_POSITION_FATE = {
    "ignore": "counted and left alone",
    "adopt": "given a stop",
    "stop": "a reason to stop trading",
}


class Strangers:
    """Keep apart what is ours and what is not."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- orders -----------------------------------------------------------------------------

    def claim(self, rows: Sequence[OrderReport], known: Collection[str]) -> None:
        """Take over orders that carry our mark and that nobody here remembers.

        Left by an earlier session whose last words never reached the disk, they are adopted: what
        nothing wishes for is cancelled, a stop that fits stays. Once such leftovers can no longer
        arrive, a new one means that another engine trades this account, and trading stops.
        """
        context, facts = self._context, self._context.facts
        if facts.is_reconciled and facts.now_ns - facts.started_ns > context.orders.dead_ns:
            new = [row for row in rows if str(row.oid) not in known]
            if new:
                self._stop(
                    "another_engine",
                    f"order {new[0].oid} in {new[0].coin} was placed by another engine of this "
                    "account; run one only, then resume",
                )
            return
        for row in rows:
            instrument = context.tokens.instruments.get(row.coin)
            if instrument is not None:
                context.orders.adopt(self._own_order(row, instrument.asset))
                detail = f"{row.coin} order {row.oid}, left by an earlier session"
                context.alert("warning", "order_adopted", detail)
        context.follow_strays()

    def note_orders(self, new: Sequence[OrderReport]) -> None:
        """Say that foreign orders are there, and stop if the configuration says so."""
        context = self._context
        if not new:
            return
        policy = context.trading.foreign_orders
        coins = ", ".join(sorted({row.coin for row in new}))
        detail = f"{len(new)} open orders in {coins} are not ours: {_ORDERS_FATE[policy]}"
        context.alert("warning", "orders_foreign", detail)
        if policy == "stop":
            self._stop("orders_foreign", f"an order in {coins} is not ours (foreign_orders: stop)")

    def tidy(self) -> None:
        """Cancel what the configuration or an emergency does not leave to others."""
        context, facts = self._context, self._context.facts
        context.follow_strays()
        foreign = context.orders.facts.foreign
        for key in [key for key in facts.foreign_asked if key not in foreign]:
            del facts.foreign_asked[key]
        for key, row in foreign.items():
            asked_ns = facts.foreign_asked.get(key, 0)
            is_waiting = asked_ns and facts.now_ns - asked_ns < CANCEL_GAP_NS
            instrument = context.tokens.instruments.get(row.coin)
            if is_waiting or instrument is None or not self._must_go(row):
                continue
            facts.foreign_asked[key] = facts.now_ns
            context.command(CancelOrder(row.cloid or "", row.oid, row.coin, instrument.asset))

    def _must_go(self, row: OrderReport) -> bool:
        """Tell whether a foreign order is cancelled; what guards a position stays as long as it."""
        context, trading = self._context, self._context.trading
        if context.facts.is_flattening and trading.flatten_scope == "account":
            return not (row.reduce_only and context.account.lots(row.coin))
        return trading.foreign_orders == "adopt" and row.coin in trading.coins

    # --- positions --------------------------------------------------------------------------

    def note_positions(self) -> None:
        """Give what is held outside the traded coins a desk, and say that it is there."""
        context = self._context
        policy = context.trading.foreign_positions
        for coin in context.follow_strays():
            if not context.account.lots(coin):
                continue
            context.alert("warning", "position_untraded", f"{coin} is {_POSITION_FATE[policy]}")
            if policy == "stop":
                detail = f"{coin} is held and not traded (foreign_positions: stop)"
                self._stop("position_untraded", detail)

    def note_fill(self, fill: Fill) -> None:
        """Say that somebody else traded on the account, and stop if the configuration says so."""
        context = self._context
        if not fill.is_liquidation:
            side = "bought" if fill.is_buy else "sold"
            context.alert("warning", "fill_foreign", f"{fill.coin}: others {side} {fill.lots} lots")
            if context.trading.foreign_positions == "stop":
                detail = f"{fill.coin} was traded by others (foreign_positions: stop)"
                self._stop("fill_foreign", detail)
        self.note_positions()

    # --- both -------------------------------------------------------------------------------

    def _stop(self, name: str, reason: str) -> None:
        context, facts = self._context, self._context.facts
        if facts.hold is not TradingState.HALTED:
            facts.hold, facts.hold_reason = TradingState.HALTED, reason
            context.alert("error", name, f"halted: {reason}")
        context.touch_all()

    def _own_order(self, row: OrderReport, asset: int) -> OwnOrder:
        """Rebuild what is known of an order from the venue's list of open ones."""
        trigger, purpose = None, Purpose.EXIT if row.reduce_only else Purpose.ENTRY
        if row.trigger_px:
            px = self._context.value_px(row.coin) or self._entry_px(row.coin)
            # A sell above the price takes profit, below it stops; a buy the other way round.
            is_target = px > 0 and (row.trigger_px < px if row.is_buy else row.trigger_px > px)
            purpose = Purpose.TARGET if is_target else Purpose.STOP
            kind = TriggerKind.TAKE_PROFIT if is_target else TriggerKind.STOP_LOSS
            trigger = Trigger(kind, row.trigger_px)
        now_ns = self._context.facts.now_ns
        return OwnOrder(
            cloid=row.cloid or "",
            coin=row.coin,
            asset=asset,
            strategy="",
            purpose=purpose,
            is_buy=row.is_buy,
            px=row.px,
            lots=row.lots_orig,
            tif=Tif.GTC,
            reduce_only=row.reduce_only,
            trigger=trigger,
            regime=Regime.UNKNOWN,
            arrival_mid_x2=0,
            sent_ns=min(row.ts_exch_ns or now_ns, now_ns),
            changed_ns=now_ns,
            oid=row.oid,
            status=OrderStatus.WORKING,
            lots_filled=row.lots_orig - row.lots_left,
            question=Question.NONE,
        )

    def _entry_px(self, coin: str) -> int:
        position = self._context.account.positions.get(coin)
        return abs(position.cost_micro // position.lots) if position is not None else 0
