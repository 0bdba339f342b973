"""How a generated market gives way to local trades: price moves, depth is eaten and comes back.

With ``V`` a day's ordinary volume and ``sigma`` a day's ordinary volatility:

- for a while: ``sigma * sqrt(|flow| / V)`` in the flow's direction, the flow being the signed
  notional of local takers with a half-life of ten minutes. What decays is the flow and not the
  price, so a trade cut into pieces moves as much as a whole one.
- for good: ``0.314 * sigma * notional / V``, linear so that pieces do not pump the price up.

Sources: square-root law, Bouchaud et al. 2018, Trades, Quotes and Prices; decay of volume, Alfonsi
and Schied 2010, Optimal trade execution and absence of price manipulations; permanent part, Almgren
et al. 2005, Direct estimation of equity market impact. It knows no venue and draws nothing.
"""

from __future__ import annotations

import math

import msgspec

from core.model.instrument import Instrument
from core.model.market import Level
from core.model.time import NS_PER_S
from core.simulation.market.ticks import MarketTick

PERMANENT_SHARE = 0.314
FLOW_HALF_LIFE_S = 600.0
REFILL_HALF_LIFE_S = 30.0
_MICRO_PER_USDC = 1e6


class LocalImpact:
    """What local takers did to one coin.

    Parameters
    ----------
    sigma_day : float
        Ordinary volatility of a day, as a share of the price.
    volume_usdc : float
        Ordinary volume of a day.
    """

    def __init__(self, instrument: Instrument, *, sigma_day: float, volume_usdc: float) -> None:
        self._instrument = instrument
        self._sigma_day, self._volume_usdc = sigma_day, volume_usdc
        self._is_still = True
        self.forget()

    def forget(self) -> None:
        """Begin anew, as if nobody had traded."""
        self._is_still = True
        self._flow_usdc = self._permanent = 0.0
        self._eaten_bids = self._eaten_asks = 0.0
        self._heard_ns = 0

    def hear(self, *, lots_signed: int, px: int, ts_ns: int) -> None:
        """Take a local taker's trade into account, from the next tick on."""
        age_s = self._age_s(ts_ns)
        refill = 0.5 ** (age_s / REFILL_HALF_LIFE_S)
        self._eaten_bids = self._eaten_bids * refill + max(0, -lots_signed)
        self._eaten_asks = self._eaten_asks * refill + max(0, lots_signed)
        usdc = lots_signed * px / _MICRO_PER_USDC
        self._flow_usdc = self._flow_usdc * 0.5 ** (age_s / FLOW_HALF_LIFE_S) + usdc
        self._permanent += PERMANENT_SHARE * self._sigma_day * usdc / self._volume_usdc
        self._heard_ns, self._is_still = ts_ns, False

    def moved(self, tick: MarketTick) -> MarketTick:
        """Return a tick as local trades leave it: moved in price, thinner where they took."""
        if self._is_still:
            return tick
        age_s = self._age_s(tick.ts_ns)
        flow = self._flow_usdc * 0.5 ** (age_s / FLOW_HALF_LIFE_S)
        impact = self._sigma_day * math.sqrt(abs(flow) / self._volume_usdc)
        shift = self._units(tick.oracle_px, math.copysign(impact, flow) + self._permanent)
        refill = 0.5 ** (age_s / REFILL_HALF_LIFE_S)
        bids = _shifted(self._instrument, tick.bids, shift, is_up=False)
        asks = _shifted(self._instrument, tick.asks, shift, is_up=True)
        return msgspec.structs.replace(
            tick,
            bids=_without(bids, round(self._eaten_bids * refill)),
            asks=_without(asks, round(self._eaten_asks * refill)),
            trades=tuple(
                (_on_grid(self._instrument, px + shift, is_up=is_buy), lots, is_buy)
                for px, lots, is_buy in tick.trades
            ),
            oracle_px=max(1, round(tick.oracle_px * (1.0 + self._permanent))),
        )

    def _age_s(self, ts_ns: int) -> float:
        return max(0, ts_ns - self._heard_ns) / NS_PER_S

    def _units(self, px: int, impact: float) -> int:
        """Return an impact in price units, a whole number of the ticks that hold at ``px``."""
        tick = self._instrument.tick_units_at(px)
        return round(px * impact / tick) * tick


def _on_grid(instrument: Instrument, px: int, *, is_up: bool) -> int:
    """Round away from the other side of the book, so that two sides never meet."""
    units = max(1, px)
    tick = instrument.tick_units_at(units)
    floor = units - units % tick
    return floor + tick if is_up and floor < units else max(1, floor)


def _shifted(
    instrument: Instrument, levels: tuple[Level, ...], shift: int, *, is_up: bool
) -> tuple[Level, ...]:
    """Move a side; levels that meet on a coarser grid are added, none falls below one unit."""
    if not shift:
        return levels
    moved: dict[int, int] = {}
    for px, lots in levels:
        if px + shift < 1:
            continue
        place = _on_grid(instrument, px + shift, is_up=is_up)
        moved[place] = moved.get(place, 0) + lots
    return tuple(moved.items())


def _without(levels: tuple[Level, ...], eaten: int) -> tuple[Level, ...]:
    """Take ``eaten`` lots off a side, best first; the last level always stays."""
    left = eaten
    for i, (px, lots) in enumerate(levels):
        if left < lots or i == len(levels) - 1:
            return ((px, max(1, lots - left)), *levels[i + 1 :])
        left -= lots
    return levels
