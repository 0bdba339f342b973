"""Spot pairs beside the perpetuals: drawn from their ticks, since no spot market was recorded.

A pair trades at its perpetual's oracle price, on its own grid, with a fifth of the perpetual's size
on each level and a fifth of its prints. The premium between the two is therefore the perpetual's
alone. It adds ticks and changes none.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.model.instrument import Instrument
from core.model.market import Candle, Level
from core.simulation.market.source import MarketSource, ReactiveSource
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_spot_bases, recorded_spot_instruments

SIZE_SHARE = 5
"""A spot level holds one part in this many of the perpetual's."""
LEVELS = 5
SPREAD_TICKS = 2
SPOT_NAMES = {"BTC": "UBTC", "ETH": "UETH", "SOL": "USOL", "HYPE": "HYPE"}
"""Base token of each perpetual's spot pair (venue: bridged tokens carry a U)."""


def spot_pairs() -> dict[str, Instrument]:
    """Return the spot pair of each perpetual that has one, by the perpetual's coin."""
    bases = recorded_spot_bases()
    by_token = {bases[i.coin].name: i for i in reversed(recorded_spot_instruments())}
    return {perp: by_token[name] for perp, name in SPOT_NAMES.items() if name in by_token}


class SpotShadow:
    """Play a source together with the spot pairs of its coins.

    Parameters
    ----------
    source : MarketSource
        Perpetuals; coins without a listed pair stay alone.
    """

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        pairs = spot_pairs()
        self._pairs = {coin: pairs[coin] for coin in source.coins if coin in pairs}
        self._perps = {pair.coin: coin for coin, pair in self._pairs.items()}
        self._listed = {i.coin: i for i in source.instruments}

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The source's universe, then all recorded spot pairs."""
        perps = tuple(i for i in self._source.instruments if not i.is_spot)
        return (*perps, *recorded_spot_instruments())

    @property
    def coins(self) -> tuple[str, ...]:
        """The source's coins, then their pairs."""
        return (*self._source.coins, *self._perps)

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
        """The source's, and where spot comes from."""
        if not self._pairs:
            return self._source.assumptions
        return (
            *self._source.assumptions,
            "spot pairs are drawn from their perpetual: its oracle price, a fifth of its size",
        )

    def ticks(self) -> Iterator[MarketTick]:
        """Play the source; a pair's tick follows its perpetual's at the same moment."""
        for tick in self._source.ticks():
            yield tick
            pair = self._pairs.get(tick.coin)
            if pair is not None:
                yield self._shadow(tick, self._listed[tick.coin], pair)

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return the source's candles; a pair's are its perpetual's on the pair's grid."""
        perp = self._perps.get(coin)
        if perp is None:
            return self._source.candles_before(coin, interval_ns, end_ns, count)
        instrument, pair = self._listed[perp], self._pairs[perp]
        rows = self._source.candles_before(perp, interval_ns, end_ns, count)
        return tuple(
            Candle(
                open_ns=c.open_ns,
                open_px=_px(instrument, pair, c.open_px),
                high_px=_px(instrument, pair, c.high_px),
                low_px=_px(instrument, pair, c.low_px),
                close_px=_px(instrument, pair, c.close_px),
                volume_lots=_lots(instrument, pair, c.volume_lots),
            )
            for c in rows
        )

    def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
        """Let the source hear of local trades, those on a pair as trades on its perpetual."""
        if not isinstance(self._source, ReactiveSource):
            return
        perp = self._perps.get(coin)
        if perp is not None:
            instrument, pair = self._listed[perp], self._pairs[perp]
            lots_signed = lots_signed * instrument.lots_scale // pair.lots_scale
            px = px * instrument.px_scale // pair.px_scale
            coin = perp
        self._source.react(coin, lots_signed=lots_signed, px=px, ts_ns=ts_ns)

    def _shadow(self, tick: MarketTick, perp: Instrument, pair: Instrument) -> MarketTick:
        center = _px(perp, pair, tick.oracle_px)
        step = pair.tick_units_at(center + LEVELS * SPREAD_TICKS * pair.tick_units_at(center))
        center -= center % step
        sizes = [_lots(perp, pair, lots) for _, lots in (*tick.bids, *tick.asks)]
        sizes += [1] * (2 * LEVELS - len(sizes))
        bids: list[Level] = []
        asks: list[Level] = []
        for n in range(LEVELS):
            distance = (SPREAD_TICKS // 2 + n) * step
            if center > distance:
                bids.append((center - distance, sizes[n]))
            asks.append((center + distance, sizes[-1 - n]))
        trades = tuple(
            (asks[0][0] if is_buy else bids[0][0], lots_spot, is_buy)
            for _, lots, is_buy in tick.trades
            if bids and (lots_spot := lots // SIZE_SHARE * pair.lots_scale // perp.lots_scale)
        )
        return MarketTick(
            tick.ts_ns, pair.coin, tuple(bids), tuple(asks), trades, None, center, None
        )


def _px(perp: Instrument, pair: Instrument, px: int) -> int:
    """Return a price on the pair's grid, rounded down, at least one unit."""
    units = max(1, px * pair.px_scale // perp.px_scale)
    return max(1, units - units % pair.tick_units_at(units))


def _lots(perp: Instrument, pair: Instrument, lots: int) -> int:
    """Return a fifth of a perpetual's size in the pair's lots, at least one."""
    return max(1, lots * pair.lots_scale // (perp.lots_scale * SIZE_SHARE))
