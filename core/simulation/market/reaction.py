"""What local takers trade with the outside market, told to a source that reacts to it.

A resting order that the outside fills is left out: that aggressor would have come without it.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.simulation.market.source import ReactiveSource
from core.simulation.venue.outputs import OUTSIDE, TradeOutput, VenueOutput


def tell_trades(source: ReactiveSource, outputs: Iterable[VenueOutput]) -> None:
    """Let a source hear of every trade of a local taker with the outside among the outputs."""
    for output in outputs:
        if not isinstance(output, TradeOutput):
            continue
        taker, maker = output.users if output.is_buy else reversed(output.users)
        if taker != OUTSIDE and maker == OUTSIDE:
            lots_signed = output.lots if output.is_buy else -output.lots
            source.react(output.coin, lots_signed=lots_signed, px=output.px, ts_ns=output.ts_ns)
