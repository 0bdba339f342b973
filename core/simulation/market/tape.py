"""Ticks as arrays: what the compiled meeting of orders and market reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.simulation.kernels import Tape
from core.simulation.market.ticks import MarketTick


def tape_of(ticks: Sequence[MarketTick]) -> Tape:
    """Put one coin's ticks into arrays, as deep as the deepest of them.

    Parameters
    ----------
    ticks : sequence of MarketTick
        Of one coin, ordered by time, at least one.
    """
    depth = max(1, *(max(len(tick.bids), len(tick.asks)) for tick in ticks))
    sides = [np.zeros((len(ticks), depth), dtype=np.int64) for _ in range(4)]
    counts = np.zeros(len(ticks) + 1, dtype=np.int64)
    for i, tick in enumerate(ticks):
        counts[i + 1] = len(tick.trades)
        for side, levels in enumerate((tick.bids, tick.asks)):
            if levels:
                table = np.array(levels, dtype=np.int64)
                sides[2 * side][i, : len(levels)] = table[:, 0]
                sides[2 * side + 1][i, : len(levels)] = table[:, 1]
    prints = [trade for tick in ticks for trade in tick.trades]
    return Tape(
        bid_px=sides[0],
        bid_lots=sides[1],
        ask_px=sides[2],
        ask_lots=sides[3],
        print_begin=np.cumsum(counts),
        print_px=np.array([px for px, _, _ in prints], dtype=np.int64),
        print_lots=np.array([lots for _, lots, _ in prints], dtype=np.int64),
        print_is_buy=np.array([is_buy for _, _, is_buy in prints], dtype=np.bool_),
    )
