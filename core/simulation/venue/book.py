"""One coin's market inside the venue: displayed outside depth and the local orders in it.

It answers who stands where; who trades with whom is the business of ``matching`` and
``meeting``. Outside depth is what the last tick showed, less what local takers took since.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.model.instrument import Instrument
from core.model.market import Level
from core.simulation.venue.account import Account
from core.simulation.venue.margin import MarginTable
from core.simulation.venue.orders import LOTS_AHEAD_UNKNOWN, Order, OrderQueue
from core.simulation.venue.settlement import Settlement

PPM = 1_000_000


class CoinBook:
    """State of one coin. Prices are price units, sizes lots; 0 stands for a price not yet known.

    ``settlement`` knows what a match here moves: positions and cash, or tokens.
    ``holders`` are the accounts with a position in the coin, in order of their first fill.
    ``outside_lots`` is the outside market's signed position, the counterpart of all others.
    ``last_px`` is the last trade, outside prints included. While ``is_halted`` nobody trades.
    """

    __slots__ = (
        "armed_above",
        "armed_below",
        "asks",
        "bids",
        "holders",
        "instrument",
        "is_halted",
        "last_px",
        "local_asks",
        "local_bids",
        "mark_px",
        "oracle_px",
        "outside_lots",
        "rate_e10",
        "settlement",
        "table",
    )

    def __init__(self, instrument: Instrument, settlement: Settlement) -> None:
        self.instrument = instrument
        self.settlement = settlement
        self.table = MarginTable(instrument)
        self.bids: tuple[Level, ...] = ()
        self.asks: tuple[Level, ...] = ()
        self.local_bids = OrderQueue(is_descending=True)
        self.local_asks = OrderQueue(is_descending=False)
        self.armed_below = OrderQueue(is_descending=True)
        self.armed_above = OrderQueue(is_descending=False)
        self.mark_px = 0
        self.oracle_px = 0
        self.rate_e10: int | None = None
        self.holders: dict[str, Account] = {}
        self.outside_lots = 0
        self.last_px = 0
        self.is_halted = False

    def local_side(self, *, is_buy: bool) -> OrderQueue:
        """Return the local resting bids or asks."""
        return self.local_bids if is_buy else self.local_asks

    def armed_side(self, *, fires_below: bool) -> OrderQueue:
        """Return the armed triggers that fire below, or above."""
        return self.armed_below if fires_below else self.armed_above

    def best_px(self, *, is_buy: bool) -> int:
        """Return the best bid or ask, outside and local together; 0 for an empty side."""
        levels = self.bids if is_buy else self.asks
        local = self.local_side(is_buy=is_buy)
        if not levels:
            return local.best_px if len(local) else 0
        if not len(local):
            return levels[0][0]
        pick = max if is_buy else min
        return pick(levels[0][0], local.best_px)

    def would_match(self, *, is_buy: bool, px: int) -> bool:
        """Tell whether a limit order would meet the opposite side at once."""
        best = self.best_px(is_buy=not is_buy)
        return best > 0 and (best <= px if is_buy else best >= px)

    def consume(self, *, is_bid: bool, lots: int) -> None:
        """Take ``lots`` from the front level of one displayed side."""
        levels = self.bids if is_bid else self.asks
        px, shown = levels[0]
        assert 0 < lots <= shown, f"invariant: take 1..{shown} lots of {px}, was {lots}"
        rest = levels[1:] if lots == shown else ((px, shown - lots), *levels[1:])
        if is_bid:
            self.bids = rest
        else:
            self.asks = rest

    def queue_up(self, order: Order) -> None:
        """Rest an order: behind everything the outside shows at its price."""
        levels = self.bids if order.is_buy else self.asks
        shown = displayed_lots(levels, order.px, is_bid=order.is_buy)
        order.lots_ahead = LOTS_AHEAD_UNKNOWN if shown is None else shown
        order.level_lots = shown or 0
        order.level_traded = 0
        self.local_side(is_buy=order.is_buy).add(order, order.px)

    def refresh_queues(self, share_ppm: int) -> None:
        """Move every local order's queue place by what the new depth shows."""
        if len(self.local_bids):
            refresh_queue(self.local_bids, self.bids, is_bid=True, share_ppm=share_ppm)
        if len(self.local_asks):
            refresh_queue(self.local_asks, self.asks, is_bid=False, share_ppm=share_ppm)

    def touch(self, *, is_buy: bool) -> tuple[int, int, int] | None:
        """Return the best level of a side as the public sees it: price, lots, orders.

        What the outside shows counts as one order.
        """
        levels = self.bids if is_buy else self.asks
        px = self.best_px(is_buy=is_buy)
        if px == 0:
            return None
        shown = levels[0][1] if levels and levels[0][0] == px else 0
        local = self.local_side(is_buy=is_buy).at_px(px)
        lots = shown + sum(order.lots_left for order in local)
        return px, lots, len(local) + (shown > 0)

    def local_at(self) -> dict[int, tuple[int, int]]:
        """Return the count and the lots of local orders by price; no price is on both sides."""
        found: dict[int, tuple[int, int]] = {}
        for queue in (self.local_bids, self.local_asks):
            for order in queue:
                count, lots = found.get(order.px, (0, 0))
                found[order.px] = (count + 1, lots + order.lots_left)
        return found

    def merged(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return (bids, asks) as the public sees them, best first."""
        return (
            _merged_side(self.bids, self.local_bids, is_bid=True),
            _merged_side(self.asks, self.local_asks, is_bid=False),
        )


def displayed_lots(levels: tuple[Level, ...], px: int, *, is_bid: bool) -> int | None:
    """Return the outside size shown at ``px``; None where the picture does not reach.

    An empty side reaches nowhere; a price better than the best is seen to be empty.
    """
    if not levels:
        return None
    worst = levels[-1][0]
    if px < worst if is_bid else px > worst:
        return None
    for level_px, lots in levels:
        if level_px == px:
            return lots
    return 0


def refresh_queue(
    orders: Iterable[Order], levels: tuple[Level, ...], *, is_bid: bool, share_ppm: int
) -> None:
    """Advance queue places, best order first.

    What vanished from a level without trading is taken to have stood before the order by
    ``share_ppm``, and nobody has more before him than the level shows. Orders beyond the shown
    depth keep their last known place; one never seen takes its place at the end when it is.
    """
    for order in orders:
        shown = displayed_lots(levels, order.px, is_bid=is_bid)
        if shown is None:
            return
        if order.lots_ahead == LOTS_AHEAD_UNKNOWN:
            order.lots_ahead = shown
        elif order.lots_ahead:
            vanished = max(0, order.level_lots - order.level_traded - shown)
            ahead = order.lots_ahead - vanished * share_ppm // PPM
            order.lots_ahead = max(0, min(ahead, shown))
        order.level_lots = shown
        order.level_traded = 0


def _merged_side(
    levels: tuple[Level, ...], orders: OrderQueue, *, is_bid: bool
) -> tuple[Level, ...]:
    """Add local resting sizes to the displayed levels."""
    if not len(orders):
        return levels
    sizes = dict(levels)
    for order in orders:
        sizes[order.px] = sizes.get(order.px, 0) + order.lots_left
    return tuple(sorted(sizes.items(), reverse=is_bid))
