"""Where a market comes from: the one door through which venue and backtest see a source.

Recorded books, candle paths and shipped samples all answer to `MarketSource`, so whoever plays
them cannot tell them apart. It knows no file format and no venue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from core.model.instrument import Instrument
from core.model.market import Candle
from core.simulation.market.ticks import MarketTick


class MarketSource(Protocol):
    """A market over a span of time, played once or many times with the same outcome.

    A source never tells a tick anything that its own past does not hold, but for what
    ``assumptions`` and ``docs/simulation-honesty.md`` state.
    """

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole listed universe, in the order of its asset ids."""
        ...

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins that have a market here."""
        ...

    @property
    def start_ns(self) -> int:
        """First moment of the span that is played; history before it may exist."""
        ...

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know, in plain sentences."""
        ...

    def ticks(self) -> Iterator[MarketTick]:
        """Play the span from its start, ordered by time."""
        ...

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return at most ``count`` candles that had closed by ``end_ns``, oldest first."""
        ...


@runtime_checkable
class ReactiveSource(MarketSource, Protocol):
    """A market that notices what local accounts trade with it."""

    def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
        """Hear that local accounts took ``lots_signed`` (above 0: bought) from the outside.

        It may change ticks that have not been played yet, never one that has.
        """
        ...
