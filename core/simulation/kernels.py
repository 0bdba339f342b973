"""How resting orders meet a long tape of ticks, compiled: the fast twin of ``venue.meeting``.

For one account's resting limit orders on one coin that nobody else trades with. Prints come first,
then the new quotes, then queue places, exactly as the venue does it tick by tick; margin, triggers
and takers are the venue's alone. The tape's arrays and the orders' belong to the caller; nothing is
allocated. Twins: ``core/simulation/venue/meeting.py`` and ``tests/reference/book.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.utils.numba_cache import njit

UNKNOWN = -1
PPM = 1_000_000

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Tape(NamedTuple):
    """Ticks of one coin. Levels are best first; a size of 0 ends a side.

    The prints of tick ``i`` are ``print_begin[i]`` up to ``print_begin[i + 1]``.
    """

    bid_px: Int64Array
    bid_lots: Int64Array
    ask_px: Int64Array
    ask_lots: Int64Array
    print_begin: Int64Array
    print_px: Int64Array
    print_lots: Int64Array
    print_is_buy: BoolArray


class Orders(NamedTuple):
    """Resting orders in order of time, bids below asks; an order with 0 lots is over.

    ``ahead`` are the outside lots before it, `UNKNOWN` while its level was never displayed.
    """

    px: Int64Array
    lots: Int64Array
    is_buy: BoolArray
    ahead: Int64Array
    level_lots: Int64Array
    level_traded: Int64Array


class Fills(NamedTuple):
    """Where fills are written: tick, order, price units, lots, and whether a print made it."""

    tick: Int64Array
    order: Int64Array
    px: Int64Array
    lots: Int64Array
    is_print: BoolArray


@njit
def _best_nb(orders: Orders, is_buy: bool) -> int:
    """Return the order of a side whose turn is first, -1 if there is none."""
    best = -1
    for i in range(orders.px.size):
        if orders.lots[i] == 0 or orders.is_buy[i] != is_buy:
            continue
        if best < 0:
            best = i
        elif is_buy:
            if orders.px[i] > orders.px[best]:
                best = i
        elif orders.px[i] < orders.px[best]:
            best = i
    return best


@njit
def _level_count_nb(lots: Int64Array) -> int:
    """Return how many levels a side shows."""
    count = lots.size
    while count > 0 and lots[count - 1] == 0:
        count -= 1
    return count


@njit
def _shown_nb(px: Int64Array, lots: Int64Array, count: int, price: int, is_buy: bool) -> int:
    """Return the displayed size at a price that the picture of ``count`` levels reaches."""
    for j in range(count):
        if px[j] == price:
            return int(lots[j])
        if px[j] < price if is_buy else px[j] > price:
            return 0
    return 0


@njit
def _fill_nb(
    orders: Orders, fills: Fills, count: int, tick: int, order: int, lots: int, is_print: bool
) -> int:
    orders.lots[order] -= lots
    fills.tick[count] = tick
    fills.order[count] = order
    fills.px[count] = orders.px[order]
    fills.lots[count] = lots
    fills.is_print[count] = is_print
    return count + 1


@njit
def _print_nb(tape: Tape, orders: Orders, fills: Fills, count: int, tick: int, number: int) -> int:
    """Let one print fill what it went through, then what stood at its price, behind the queue."""
    px, traded = tape.print_px[number], tape.print_lots[number]
    left = traded
    for is_bid in (True, False):
        best = _best_nb(orders, is_bid)
        while left > 0 and best >= 0:
            is_through = orders.px[best] > px if is_bid else orders.px[best] < px
            if not is_through:
                break
            got = min(left, orders.lots[best])
            count = _fill_nb(orders, fills, count, tick, best, got, True)
            left -= got
            best = _best_nb(orders, is_bid)
        if best < 0 or tape.print_is_buy[number] == is_bid or orders.px[best] != px:
            continue
        for i in range(orders.px.size):
            if orders.lots[i] == 0 or orders.is_buy[i] != is_bid or orders.px[i] != px:
                continue
            orders.level_traded[i] += traded
            if orders.ahead[i] == UNKNOWN:
                continue
            reached = left - orders.ahead[i]
            orders.ahead[i] = max(0, orders.ahead[i] - traded)
            if reached > 0:
                got = min(reached, orders.lots[i])
                count = _fill_nb(orders, fills, count, tick, i, got, True)
                left -= got
    return count


@njit
def _quotes_nb(
    px: Int64Array,
    lots: Int64Array,
    orders: Orders,
    fills: Fills,
    count: int,
    tick: int,
    is_buy: bool,
) -> int:
    """Fill the orders of one side that the new opposite quotes reach, and use those quotes up.

    What an order needs beyond the quotes at its price uses nothing up: the next one's price
    reaches no further.
    """
    level, used = 0, 0
    while True:
        while level < px.size and lots[level] > 0 and used >= lots[level]:
            used -= lots[level]
            level += 1
        best = _best_nb(orders, is_buy)
        if best < 0 or level == px.size or lots[level] == 0:
            return count
        if px[level] > orders.px[best] if is_buy else px[level] < orders.px[best]:
            return count
        taken = orders.lots[best]
        count = _fill_nb(orders, fills, count, tick, best, taken, False)
        used += taken


@njit
def _move_up_nb(
    px: Int64Array, lots: Int64Array, orders: Orders, share_ppm: int, is_buy: bool
) -> None:
    """Move the queue places of one side by what its new depth shows.

    Twin: ``venue.book.refresh_queue``. Orders beyond the picture keep what they know.
    """
    count = _level_count_nb(lots)
    if count == 0:
        return
    worst = px[count - 1]
    for i in range(orders.px.size):
        if orders.lots[i] == 0 or orders.is_buy[i] != is_buy:
            continue
        price = orders.px[i]
        if price < worst if is_buy else price > worst:
            continue
        shown = _shown_nb(px, lots, count, price, is_buy)
        if orders.ahead[i] == UNKNOWN:
            orders.ahead[i] = shown
        elif orders.ahead[i] > 0:
            vanished = max(0, orders.level_lots[i] - orders.level_traded[i] - shown)
            ahead = orders.ahead[i] - vanished * share_ppm // PPM
            orders.ahead[i] = max(0, min(ahead, shown))
        orders.level_lots[i] = shown
        orders.level_traded[i] = 0


@njit
def meet_tape_nb(
    tape: Tape, orders: Orders, fills: Fills, first: int, end: int, share_ppm: int
) -> int:
    """Play ticks ``first`` to ``end`` into the orders and write down what fills.

    Parameters
    ----------
    share_ppm : int
        Millionths of what vanished from a level without trading that stood before an order.

    Returns
    -------
    count : int
        Fills written, from the start of ``fills``. With too little room for what one tick may
        bring it stops before that tick and returns ``-1 - tick``: the fills written so far are
        those with lots above 0; take them away, clear them, and go on from there.

    Notes
    -----
    Cost: O(prints + ticks * orders); no allocation.
    """
    count = 0
    best_bid, best_ask = _best_nb(orders, True), _best_nb(orders, False)
    for tick in range(first, end):
        prints = tape.print_begin[tick + 1] - tape.print_begin[tick]
        if count + (prints + 1) * orders.px.size > fills.tick.size:
            return -1 - tick
        if best_bid < 0 and best_ask < 0:
            return count
        before = count
        bid_px = orders.px[best_bid] if best_bid >= 0 else 0
        ask_px = orders.px[best_ask] if best_ask >= 0 else np.iinfo(np.int64).max
        for number in range(tape.print_begin[tick], tape.print_begin[tick + 1]):
            px = tape.print_px[number]
            if px <= bid_px or px >= ask_px:
                count = _print_nb(tape, orders, fills, count, tick, number)
        bids_px, bids_lots = tape.bid_px[tick], tape.bid_lots[tick]
        asks_px, asks_lots = tape.ask_px[tick], tape.ask_lots[tick]
        if asks_lots[0] > 0 and asks_px[0] <= bid_px:
            count = _quotes_nb(asks_px, asks_lots, orders, fills, count, tick, True)
        if bids_lots[0] > 0 and bids_px[0] >= ask_px:
            count = _quotes_nb(bids_px, bids_lots, orders, fills, count, tick, False)
        if best_bid >= 0:
            _move_up_nb(bids_px, bids_lots, orders, share_ppm, True)
        if best_ask >= 0:
            _move_up_nb(asks_px, asks_lots, orders, share_ppm, False)
        if count > before:
            best_bid, best_ask = _best_nb(orders, True), _best_nb(orders, False)
    return count


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    px, lots = np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64)
    one, flags = np.ones(1, dtype=np.int64), np.ones(1, dtype=np.bool_)
    tape = Tape(px, lots, px + 2, lots, np.array([0, 1]), one, one, flags)
    orders = Orders(one.copy(), one.copy(), flags.copy(), one * 0, one * 0, one * 0)
    rows = [np.zeros(4, dtype=np.int64) for _ in range(4)]
    fills = Fills(rows[0], rows[1], rows[2], rows[3], np.zeros(4, dtype=np.bool_))
    meet_tape_nb(tape, orders, fills, 0, 1, 0)
