"""From a wish to the orders that should exist, and from there to the difference to send.

Asking twice changes nothing: what exists already is left alone, what is unanswered is waited for,
what differs only in price, trigger or size is modified, anything else is cancelled and placed
again once it is gone. Knows no risk limits, no account and no ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from core.engines.own_orders import OwnOrder
from core.engines.position_sizing import is_tradable
from core.engines.risk_management import taking_px
from core.model.codes import Direction, Purpose, Tif, TriggerKind
from core.model.commands import Trigger
from core.model.instrument import Instrument
from core.model.intents import Intent, Quote, TargetPosition, TargetQuotes
from core.model.settings import TradingParams

TRIGGER_LIMIT_DISTANCE = 0.1
"""A woken stop or target takes up to a tenth beyond its trigger, as the venue's own UI does."""
EXCESS_SHARE_MIN = 0.25
"""A position larger than wished is trimmed from a quarter on; less is not worth its fees."""

_LANE = {
    Purpose.STOP: Purpose.STOP,
    Purpose.TARGET: Purpose.TARGET,
    Purpose.EXIT: Purpose.EXIT,
    Purpose.FLATTEN: Purpose.EXIT,
    Purpose.ENTRY: Purpose.ENTRY,
}


class OrderWish(msgspec.Struct, frozen=True, kw_only=True):
    """One order that should exist; ``px`` on the grid, ``lots`` above 0."""

    purpose: Purpose
    is_buy: bool
    px: int
    lots: int
    tif: Tif
    reduce_only: bool
    trigger: Trigger | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What execution looks at in one coin (the ``risk_params`` of `execute_order`).

    Parameters
    ----------
    bid_px, ask_px : int
        Touch in price units, 0 while unknown: then nothing that needs a price is wished for.
    wish_lots, quote_lots : int
        Size allowed for the whole position, and for one quote that names no size.
    stop_px, target_px : int
        Prices at which the position's idea is over, 0 for none.
    must_close : Purpose or None
        EXIT or FLATTEN if the position has to go, whatever is wished.
    may_open, may_close, may_protect : bool
        What the trading state allows; without ``may_protect`` stops and targets stay untouched.
    """

    instrument: Instrument
    bid_px: int
    ask_px: int
    position_lots: int = 0
    wish_lots: int = 0
    quote_lots: int = 0
    stop_px: int = 0
    target_px: int = 0
    must_close: Purpose | None = None
    close_slippage: float = 0.0
    may_open: bool = True
    may_close: bool = True
    may_protect: bool = True
    open_orders: tuple[OwnOrder, ...] = ()


class Difference(msgspec.Struct):
    """What to send so that the orders that exist become those that are wished for."""

    cancels: list[OwnOrder] = []
    modifies: list[tuple[OwnOrder, OrderWish]] = []
    places: list[OrderWish] = []

    @property
    def is_empty(self) -> bool:
        """Whether all is as wished."""
        return not (self.cancels or self.modifies or self.places)


class OrderExecutionEngine:
    """Turn wishes into differences.

    Parameters
    ----------
    params : TradingParams, optional
        ``order_type``, ``slippage_tolerance`` and ``requote_ratio``.
    """

    def __init__(self, params: TradingParams | None = None) -> None:
        self._params = params or TradingParams()

    def execute_order(
        self,
        strategy_signal: Intent | Mapping[str, Any] | None,
        risk_params: Situation | Mapping[str, Any],
    ) -> Difference:
        """Return what to send for one coin.

        Parameters
        ----------
        strategy_signal : Intent, Mapping or None
            The standing wish; or loosely ``{"action": "buy" | "sell" | "close", "stop_price": …,
            "target_price": …}``; ``None`` or any other action wishes for nothing new.
        risk_params : Situation or Mapping
            The situation, or its fields by name; without an instrument there is no grid to
            round to, and nothing is to be sent.
        """
        situation = risk_params
        if not isinstance(situation, Situation):
            if not isinstance(situation.get("instrument"), Instrument):
                return Difference()
            situation = Situation(**situation)
        wish = strategy_signal
        if isinstance(wish, Mapping):
            wish = _intent_of(wish, situation.instrument)
        wished = self.orders_wished(wish, situation)
        return self.difference(
            wished, situation.open_orders, touches_protection=situation.may_protect
        )

    # --- which orders should exist ----------------------------------------------------------

    def orders_wished(self, wish: Intent | None, s: Situation) -> list[OrderWish]:
        """Return the orders that should exist for one coin, getting out before getting in."""
        orders = _protection(s) if s.position_lots and s.may_protect else []
        if s.bid_px == 0 or s.ask_px == 0:
            return orders
        if s.position_lots and (s.must_close or _is_against(wish, s.position_lots)):
            if s.may_close:
                purpose = s.must_close or Purpose.EXIT
                orders.append(self._close(s, abs(s.position_lots), purpose))
        elif isinstance(wish, TargetPosition) and wish.direction is not Direction.FLAT:
            orders += self._entry(wish, s)
        elif isinstance(wish, TargetQuotes) and not s.must_close:
            orders += _quotes(wish, s)
        return orders

    def _close(self, s: Situation, lots: int, purpose: Purpose) -> OrderWish:
        is_buy = s.position_lots < 0
        slippage = max(self._params.slippage_tolerance, s.close_slippage)
        px = taking_px(s.instrument, (s.bid_px, s.ask_px), is_buy=is_buy, slippage=slippage)
        return OrderWish(
            purpose=purpose, is_buy=is_buy, px=px, lots=lots, tif=Tif.IOC, reduce_only=True
        )

    def _entry(self, wish: TargetPosition, s: Situation) -> list[OrderWish]:
        is_buy = wish.direction is Direction.LONG
        held = abs(s.position_lots)
        lots = s.wish_lots - held
        if lots < 0:
            is_excess = s.may_close and -lots >= EXCESS_SHARE_MIN * s.wish_lots > 0
            if is_excess and is_tradable(s.instrument, lots=-lots, px=s.bid_px):
                return [self._close(s, -lots, Purpose.EXIT)]
            return []
        if not s.may_open or s.must_close or _is_idea_over(s, is_buy):
            return []
        px, tif = self._entry_price(wish, s, is_buy)
        if lots == 0 or not is_tradable(s.instrument, lots=lots, px=px):
            return []
        return [
            OrderWish(
                purpose=Purpose.ENTRY, is_buy=is_buy, px=px, lots=lots, tif=tif, reduce_only=False
            )
        ]

    def _entry_price(self, wish: TargetPosition, s: Situation, is_buy: bool) -> tuple[int, Tif]:
        """Return limit and time in force: a wished price rests, otherwise by ``order_type``."""
        if wish.entry_price is not None:
            return s.instrument.px_units_on_grid(wish.entry_price, is_buy=is_buy), Tif.GTC
        if self._params.order_type == "limit":
            return (s.bid_px if is_buy else s.ask_px), Tif.ALO
        slippage = self._params.slippage_tolerance
        touch = (s.bid_px, s.ask_px)
        return taking_px(s.instrument, touch, is_buy=is_buy, slippage=slippage), Tif.IOC

    # --- what to send -----------------------------------------------------------------------

    def difference(
        self,
        wished: Iterable[OrderWish],
        existing: Iterable[OwnOrder],
        *,
        touches_protection: bool = True,
    ) -> Difference:
        """Compare the orders wished for with those that exist."""
        result = Difference([], [], [])
        wishes: dict[Purpose, OrderWish] = {}
        quotes: list[OrderWish] = []
        for each in wished:
            if each.purpose is Purpose.QUOTE:
                quotes.append(each)
            else:
                wishes[_LANE[each.purpose]] = each
        lanes: dict[Purpose, list[OwnOrder]] = {}
        quoted: list[OwnOrder] = []
        for order in existing:
            if order.purpose is Purpose.QUOTE:
                quoted.append(order)
            elif touches_protection or not order.is_protective:
                lanes.setdefault(_LANE[order.purpose], []).append(order)
        for lane in wishes.keys() | lanes.keys():
            self._compare_one(wishes.get(lane), lanes.get(lane, []), result)
        self._compare_quotes(quotes, quoted, result)
        # Sets have no order; results must: getting out comes first.
        result.places.sort(key=lambda w: (not w.reduce_only, w.purpose, -w.px))
        result.modifies.sort(key=lambda pair: pair[0].cloid)
        result.cancels.sort(key=lambda order: order.cloid)
        return result

    def _compare_one(
        self, wish: OrderWish | None, existing: list[OwnOrder], result: Difference
    ) -> None:
        """Compare the one order of a lane; while anything there is unanswered, wait."""
        resting = [o for o in existing if o.is_settled_working]
        if wish is None:
            result.cancels += resting
            return
        if len(resting) < len(existing):
            return
        if not resting:
            result.places.append(wish)
            return
        result.cancels += resting[1:]
        self._adjust(resting[0], wish, result)

    def _adjust(self, order: OwnOrder, wish: OrderWish, result: Difference) -> None:
        if not _is_same_kind(order, wish):
            result.cancels.append(order)
        elif order.lots_left != wish.lots or self._is_moved(order, wish):
            result.modifies.append((order, wish))

    def _is_moved(self, order: OwnOrder, wish: OrderWish) -> bool:
        """Tell whether the price moved by more than the requote tolerance."""
        before, after = order.px, wish.px
        if order.trigger is not None and wish.trigger is not None:
            before, after = order.trigger.trigger_px, wish.trigger.trigger_px
        return abs(after - before) > self._params.requote_ratio * before

    def _compare_quotes(
        self, wished: list[OrderWish], existing: list[OwnOrder], result: Difference
    ) -> None:
        """Pair quotes of one side by price; leftovers are moved, then placed or cancelled."""
        if not wished and not existing:
            return
        for is_buy in (True, False):
            for reduce_only in (True, False):
                side = [o for o in existing if o.is_buy is is_buy and o.reduce_only is reduce_only]
                wants = [w for w in wished if w.is_buy is is_buy and w.reduce_only is reduce_only]
                if side or wants:
                    self._pair_quotes(wants, side, result)

    def _pair_quotes(
        self, wants: list[OrderWish], side: list[OwnOrder], result: Difference
    ) -> None:
        free = sorted(side, key=lambda o: (o.px, o.cloid))
        unmet: list[OrderWish] = []
        for want in sorted(wants, key=lambda w: w.px):
            # A partly filled quote is still the quote that was wished for.
            match = next(
                (o for o in free if not self._is_moved(o, want) and o.lots_left <= want.lots), None
            )
            if match is None:
                unmet.append(want)
            else:
                free.remove(match)
        resting = [o for o in free if o.is_settled_working]
        for order, want in zip(resting, unmet, strict=False):
            result.modifies.append((order, want))
        result.cancels += resting[len(unmet) :]
        # Whatever is unanswered may yet be the quote that is missing: place only the rest.
        unanswered = len(free) - len(resting)
        missing = unmet[len(resting) :]
        result.places += missing[: max(0, len(missing) - unanswered)]


def _protection(s: Situation) -> list[OrderWish]:
    """Return stop and target for the position, as reduce-only triggers of its full size."""
    is_buy = s.position_lots < 0
    orders: list[OrderWish] = []
    for purpose, kind, px in (
        (Purpose.STOP, TriggerKind.STOP_LOSS, s.stop_px),
        (Purpose.TARGET, TriggerKind.TAKE_PROFIT, s.target_px),
    ):
        if px <= 0:
            continue
        factor = 1.0 + (TRIGGER_LIMIT_DISTANCE if is_buy else -TRIGGER_LIMIT_DISTANCE)
        limit = s.instrument.px_units_on_grid(s.instrument.px_float(px) * factor, is_buy=is_buy)
        orders.append(
            OrderWish(
                purpose=purpose,
                is_buy=is_buy,
                px=limit,
                lots=abs(s.position_lots),
                tif=Tif.GTC,
                reduce_only=True,
                trigger=Trigger(kind, px),
            )
        )
    return orders


def _quotes(wish: TargetQuotes, s: Situation) -> list[OrderWish]:
    """Return the resting orders of a quote wish that would not take, within the size allowed.

    Quotes nearest to the touch come first to the size that is left.
    """
    orders: list[OrderWish] = []
    reducing_left = abs(s.position_lots)
    opening_left = {
        True: s.wish_lots - max(0, s.position_lots),
        False: s.wish_lots - max(0, -s.position_lots),
    }
    mid = s.instrument.px_float((s.bid_px + s.ask_px) / 2)
    for quote in sorted(wish.quotes, key=lambda q: (abs(q.price - mid), q.is_buy, q.price)):
        px = s.instrument.px_units_on_grid(quote.price, is_buy=quote.is_buy)
        is_taking = px >= s.ask_px if quote.is_buy else px <= s.bid_px
        if is_taking:
            continue
        if quote.is_reducing:
            is_reducing = s.position_lots * (1 if quote.is_buy else -1) < 0
            if not (is_reducing and s.may_close):
                continue
            lots = min(_quote_lots(quote, s, reducing_left), reducing_left)
            reducing_left -= lots
        else:
            if not s.may_open:
                continue
            lots = min(_quote_lots(quote, s, s.quote_lots), opening_left[quote.is_buy])
            opening_left[quote.is_buy] -= lots
        covers_all = quote.is_reducing and lots == abs(s.position_lots)
        if lots > 0 and (covers_all or is_tradable(s.instrument, lots=lots, px=px)):
            orders.append(
                OrderWish(
                    purpose=Purpose.QUOTE,
                    is_buy=quote.is_buy,
                    px=px,
                    lots=lots,
                    tif=Tif.ALO,
                    reduce_only=quote.is_reducing,
                )
            )
    return orders


def _quote_lots(quote: Quote, s: Situation, default: int) -> int:
    return default if quote.coins is None else s.instrument.lots_floor(quote.coins)


def _is_against(wish: Intent | None, position_lots: int) -> bool:
    """Tell whether a wish wants the position gone: flat, or the other direction."""
    if not isinstance(wish, TargetPosition):
        return False
    held = Direction.LONG if position_lots > 0 else Direction.SHORT
    return wish.direction is not held


def _is_idea_over(s: Situation, is_buy: bool) -> bool:
    """Tell whether the price is already beyond the stop or the target of an entry."""
    if is_buy:
        return s.bid_px <= s.stop_px or 0 < s.target_px <= s.ask_px
    return 0 < s.stop_px <= s.ask_px or s.bid_px <= s.target_px


def _is_same_kind(order: OwnOrder, wish: OrderWish) -> bool:
    """Tell whether a modify can turn one into the other."""
    kind = order.trigger.kind if order.trigger else None
    wished_kind = wish.trigger.kind if wish.trigger else None
    return (
        order.is_buy is wish.is_buy
        and order.reduce_only is wish.reduce_only
        and order.tif is wish.tif
        and kind is wished_kind
    )


def _intent_of(signal: Mapping[str, Any], instrument: Instrument) -> TargetPosition | None:
    directions = {"buy": Direction.LONG, "sell": Direction.SHORT, "close": Direction.FLAT}
    direction = directions.get(str(signal.get("action", "")).lower())
    if direction is None:
        return None
    return TargetPosition(
        coin=instrument.coin,
        strategy=str(signal.get("strategy", "")),
        direction=direction,
        reason=str(signal.get("reason", "asked by hand")),
        entry_price=signal.get("entry_price"),
        stop_price=signal.get("stop_price"),
        target_price=signal.get("target_price"),
    )
