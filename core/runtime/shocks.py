"""Markets that do what traders fear, at a moment of one's choosing.

A `ShockedSource` plays another source and bends it from the moment it is struck, always against the
position that is held. Levels stay on the price grid. It knows no account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from core.model.instrument import Instrument
from core.model.market import Candle, Level
from core.model.time import NS_PER_MIN
from core.simulation.market.source import MarketSource
from core.simulation.market.ticks import MarketTick

CRASH_SHARE = 0.2
CRASH_NS = 5 * NS_PER_MIN
GAP_SHARE = 0.1
FUNDING_RATE_1H = 0.04
"""The venue's cap of the hourly rate. Source: venue documentation, funding."""
MARK_SHARE = 0.05
MARK_NS = 10 * NS_PER_MIN
VOID_SHARE = 0.03
VOID_NS = 5 * NS_PER_MIN


class Bend(msgspec.Struct, frozen=True, kw_only=True):
    """What a shock makes of the market at one moment; shares are signed moves of the price."""

    price_share: float = 0.0
    mark_share: float = 0.0
    has_book: bool = True
    funding_rate_1h: float | None = None


class Shock(msgspec.Struct, frozen=True, kw_only=True):
    """One shock.

    Parameters
    ----------
    bend : callable
        From the time since it began, in nanoseconds, to the market then, for a long position.
    jump_share : float
        How far the price moves at once, past any stop; 0 if a stop can be filled on the way.
    flat_within_ns : int
        Within which a stop must have closed the position, 0 if the shock need not reach it.
    watch_ns : int
        How long is watched.
    """

    name: str
    title: str
    bend: Callable[[int], Bend]
    jump_share: float
    flat_within_ns: int
    watch_ns: int


def _crash(age_ns: int) -> Bend:
    return Bend(price_share=-CRASH_SHARE * min(1.0, age_ns / CRASH_NS))


def _gap(age_ns: int) -> Bend:
    return Bend(price_share=-GAP_SHARE)


def _funding(age_ns: int) -> Bend:
    return Bend(funding_rate_1h=FUNDING_RATE_1H)


def _mark(age_ns: int) -> Bend:
    return Bend(mark_share=-MARK_SHARE if age_ns < MARK_NS else 0.0)


def _void(age_ns: int) -> Bend:
    return Bend(price_share=-VOID_SHARE, has_book=age_ns >= VOID_NS)


SHOCKS = (
    Shock(
        name="crash",
        title="20 % against the position in five minutes",
        bend=_crash,
        jump_share=0.0,
        flat_within_ns=CRASH_NS + NS_PER_MIN,
        watch_ns=30 * NS_PER_MIN,
    ),
    Shock(
        name="gap",
        title="a gap of 10 % through the stop",
        bend=_gap,
        jump_share=GAP_SHARE,
        flat_within_ns=NS_PER_MIN,
        watch_ns=30 * NS_PER_MIN,
    ),
    Shock(
        name="funding",
        title="funding of 4 % an hour against the position",
        bend=_funding,
        jump_share=FUNDING_RATE_1H * 3,
        flat_within_ns=0,
        watch_ns=130 * NS_PER_MIN,
    ),
    Shock(
        name="mark",
        title="mark and oracle 5 % away from the book for ten minutes",
        bend=_mark,
        jump_share=MARK_SHARE,
        flat_within_ns=0,
        watch_ns=30 * NS_PER_MIN,
    ),
    Shock(
        name="void",
        title="the book vanishes for five minutes and returns 3 % away",
        bend=_void,
        jump_share=VOID_SHARE,
        flat_within_ns=0,
        watch_ns=30 * NS_PER_MIN,
    ),
)


class ShockedSource:
    """Play a source, and from `strike` on what a shock makes of it.

    Parameters
    ----------
    source : MarketSource
        The market before the shock.
    shock : Shock
    """

    def __init__(self, source: MarketSource, shock: Shock) -> None:
        self._source, self._shock = source, shock
        self._instruments = {i.coin: i for i in source.instruments}
        self._since_ns = 0
        self._sign = 1.0

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The listed universe."""
        return self._source.instruments

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins played."""
        return self._source.coins

    @property
    def start_ns(self) -> int:
        """First moment played."""
        return self._source.start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._source.end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (*self._source.assumptions, f"shock: {self._shock.title}")

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return history of the time before the shock."""
        return self._source.candles_before(coin, interval_ns, end_ns, count)

    def strike(self, now_ns: int, *, is_long: bool) -> None:
        """Begin the shock with the next tick, against this side."""
        self._since_ns, self._sign = now_ns, 1.0 if is_long else -1.0

    def ticks(self) -> Iterator[MarketTick]:
        """Play."""
        for tick in self._source.ticks():
            yield self._bent(tick) if self._since_ns else tick

    def _bent(self, tick: MarketTick) -> MarketTick:
        bend = self._shock.bend(tick.ts_ns - self._since_ns)
        instrument = self._instruments[tick.coin]
        factor = 1.0 + self._sign * bend.price_share
        aside = factor + self._sign * bend.mark_share
        rate = tick.funding_rate_1h
        if bend.funding_rate_1h is not None:
            rate = self._sign * bend.funding_rate_1h
        return MarketTick(
            ts_ns=tick.ts_ns,
            coin=tick.coin,
            bids=_scaled(instrument, tick.bids, factor, is_buy=True) if bend.has_book else (),
            asks=_scaled(instrument, tick.asks, factor, is_buy=False) if bend.has_book else (),
            trades=tuple(
                (_px(instrument, px, factor, is_buy=True), lots, is_buy)
                for px, lots, is_buy in (tick.trades if bend.has_book else ())
            ),
            mark_px=None if tick.mark_px is None else max(1, round(tick.mark_px * aside)),
            oracle_px=max(1, round(tick.oracle_px * aside)),
            funding_rate_1h=rate,
        )


def _px(instrument: Instrument, px: int, factor: float, *, is_buy: bool) -> int:
    if factor == 1.0:
        return px
    return instrument.px_units_on_grid(px * factor / instrument.px_scale, is_buy=is_buy)


def _scaled(
    instrument: Instrument, levels: tuple[Level, ...], factor: float, *, is_buy: bool
) -> tuple[Level, ...]:
    """Move a side of the book; levels that meet on a coarser grid become one."""
    merged: dict[int, int] = {}
    for px, lots in levels:
        at = _px(instrument, px, factor, is_buy=is_buy)
        merged[at] = merged.get(at, 0) + lots
    return tuple(merged.items())
