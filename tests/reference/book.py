"""Slow twin of the venue's book: one list of orders, scanned from the start for every question.

It follows the rules as ``docs/simulation-honesty.md`` and the venue's documentation word them:
price, then time; the outside's lots that stood before an order come before it; the resting price
is the price; an account never trades with itself. Money, margin and triggers are not its business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

UNKNOWN = -1
"""Queue place of an order whose level was never displayed."""

Levels = dict[int, int]


@dataclass
class SlowOrder:
    oid: int
    owner: str
    is_buy: bool
    px: int
    lots: int
    ahead: int = UNKNOWN
    level_lots: int = 0
    level_traded: int = 0


@dataclass
class SlowBook:
    """One coin. ``fills`` holds (oid, price, lots) in order; ``gone`` how each order ended."""

    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    orders: list[SlowOrder] = field(default_factory=list)
    fills: list[tuple[int, int, int]] = field(default_factory=list)
    gone: dict[int, str] = field(default_factory=dict)

    # --- questions -------------------------------------------------------------------------

    def side(self, *, is_buy: bool) -> list[SlowOrder]:
        """Return the local orders of a side in the order in which they would trade."""
        mine = [order for order in self.orders if order.is_buy is is_buy]
        # The list is in order of time and sorting is stable.
        return sorted(mine, key=lambda order: -order.px if is_buy else order.px)

    def levels(self, *, is_buy: bool) -> Levels:
        return self.bids if is_buy else self.asks

    def best(self, *, is_buy: bool) -> int | None:
        prices = [*self.levels(is_buy=is_buy)]
        prices += [order.px for order in self.orders if order.is_buy is is_buy]
        if not prices:
            return None
        return max(prices) if is_buy else min(prices)

    def crosses(self, *, is_buy: bool, px: int) -> bool:
        best = self.best(is_buy=not is_buy)
        return best is not None and (best <= px if is_buy else best >= px)

    def shown(self, order: SlowOrder) -> int:
        """Return the outside lots at an order's price, `UNKNOWN` beyond the displayed depth."""
        levels = self.levels(is_buy=order.is_buy)
        if not levels:
            return UNKNOWN
        is_beyond = order.px < min(levels) if order.is_buy else order.px > max(levels)
        return UNKNOWN if is_beyond else levels.get(order.px, 0)

    # --- requests --------------------------------------------------------------------------

    def place(self, order: SlowOrder, tif: str) -> str:
        """Return ``rejected``, ``filled``, ``partial`` (IOC) or ``resting``."""
        if tif == "Alo" and self.crosses(is_buy=order.is_buy, px=order.px):
            self.gone[order.oid] = "badAloPxRejected"
            return "rejected"
        wanted = order.lots
        while order.lots and self._take_once(order):
            pass
        if order.lots == 0:
            self.gone[order.oid] = "filled"
            return "filled"
        if tif == "Ioc":
            self.gone[order.oid] = "canceled" if order.lots < wanted else "iocCancelRejected"
            return "partial" if order.lots < wanted else "rejected"
        shown = self.shown(order)
        order.ahead, order.level_lots, order.level_traded = shown, max(0, shown), 0
        self.orders.append(order)
        return "resting"

    def cancel(self, oid: int) -> bool:
        return self._remove(oid, "canceled")

    def _remove(self, oid: int, how: str) -> bool:
        found = [order for order in self.orders if order.oid == oid]
        for order in found:
            self.orders.remove(order)
            self.gone[oid] = how
        return bool(found)

    def _take_once(self, taker: SlowOrder) -> bool:
        """Let a taker meet whoever is first opposite; return whether he met anybody."""
        best = self.best(is_buy=not taker.is_buy)
        if best is None or (best > taker.px if taker.is_buy else best < taker.px):
            return False
        levels = self.levels(is_buy=not taker.is_buy)
        outside = levels.get(best, 0)
        waiting = [o for o in self.side(is_buy=not taker.is_buy) if o.px == best]
        if waiting and outside:
            outside = outside if waiting[0].ahead == UNKNOWN else min(outside, waiting[0].ahead)
        if outside:
            lots = min(outside, taker.lots)
            self._drain(levels, best, lots)
            for order in waiting:
                order.ahead = max(0, order.ahead - lots) if order.ahead > 0 else order.ahead
            self._fill(taker, best, lots)
            return True
        maker = waiting[0]
        if maker.owner == taker.owner:
            return self._remove(maker.oid, "selfTradeCanceled")
        lots = min(taker.lots, maker.lots)
        self._fill(taker, best, lots)
        self._fill(maker, best, lots)
        return True

    def _fill(self, order: SlowOrder, px: int, lots: int) -> None:
        order.lots -= lots
        self.fills.append((order.oid, px, lots))
        if order.lots == 0:
            self._remove(order.oid, "filled")

    @staticmethod
    def _drain(levels: Levels, px: int, lots: int) -> None:
        levels[px] -= lots
        if levels[px] == 0:
            del levels[px]

    # --- the outside market ----------------------------------------------------------------

    def tick(self, bids: Levels, asks: Levels, prints: list[tuple[int, int, bool]]) -> None:
        """Prints meet the orders first, then the new quotes do, then queue places move."""
        for px, lots, is_buy in prints:
            self._print(px, lots, is_buy)
        self.bids, self.asks = dict(bids), dict(asks)
        for is_buy in (True, False):
            self._meet_quotes(is_buy=is_buy)
        for order in self.orders:
            self._move_up(order)

    def _print(self, px: int, lots: int, is_buy: bool) -> None:
        left = lots
        for side in (True, False):
            for order in self.side(is_buy=side):
                if left and (order.px > px if side else order.px < px):
                    got = min(left, order.lots)
                    self._fill(order, order.px, got)
                    left -= got
            queue = self.side(is_buy=side)
            is_at_best = bool(queue) and queue[0].px == px
            if side is is_buy or not is_at_best:
                continue
            for order in [o for o in queue if o.px == px]:
                order.level_traded += lots
                if order.ahead == UNKNOWN:
                    continue
                reached = left - order.ahead
                order.ahead = max(0, order.ahead - lots)
                if reached > 0:
                    got = min(reached, order.lots)
                    self._fill(order, px, got)
                    left -= got

    def _meet_quotes(self, *, is_buy: bool) -> None:
        levels = self.levels(is_buy=not is_buy)
        for order in self.side(is_buy=is_buy):
            met = [p for p in levels if (p <= order.px if is_buy else p >= order.px)]
            if not met:
                return
            px, lots = order.px, order.lots
            self._fill(order, px, lots)
            for quote in sorted(met, reverse=not is_buy):
                part = min(lots, levels[quote])
                if part:
                    self._drain(levels, quote, part)
                lots -= part

    def _move_up(self, order: SlowOrder) -> None:
        shown = self.shown(order)
        if shown == UNKNOWN:
            return
        order.ahead = shown if order.ahead == UNKNOWN else min(order.ahead, shown)
        order.level_lots, order.level_traded = shown, 0

    # --- state -----------------------------------------------------------------------------

    def state_hash(self) -> str:
        """Digest of what the public and the owners can see, and of every fill so far."""
        orders = [(o.oid, o.is_buy, o.px, o.lots, o.ahead) for o in self.orders]
        return digest(orders, (sorted(self.bids.items()), sorted(self.asks.items())), self.fills)


def digest(orders: object, depth: object, fills: object) -> str:
    """Hash a book's visible state; the venue's is brought into the same form by the test."""
    return hashlib.blake2b(repr((orders, depth, fills)).encode(), digest_size=16).hexdigest()
