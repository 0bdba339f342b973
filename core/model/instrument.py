"""Instruments and their integer grid: the one place where prices and sizes become integers.

With ``sz_decimals`` d a perpetual's price counts 10^-(6-d) USDC and its size 10^-d coins, so
``px * lots`` is exactly micro-USDC (spot: 10^-(8-d), so px * lots counts 10^-8).
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

import msgspec

from core.model.errors import GridError

MICRO_PER_USDC = 1_000_000
PX_DECIMALS_PERP = 6
PX_DECIMALS_SPOT = 8
SIGNIFICANT_FIGURES = 5
NOTIONAL_MIN_USDC = 10
_GRID_TOLERANCE = 1e-6
_POWERS_OF_TEN: tuple[int, ...] = tuple(10**n for n in range(PX_DECIMALS_SPOT + 1))


def decimal_units(text: str, decimals: int, what: str) -> int:
    """Read a decimal text as an integer count of ``10**-decimals``, exactly.

    Parameters
    ----------
    text : str
        Finite decimal such as ``"97123.5"``.
    what : str
        Named in the error, such as ``"px of BTC"``.

    Raises
    ------
    GridError
        If the text is no finite number or has more decimals than fit.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise GridError(f"{what} should be a decimal number, was {text!r}") from None
    if not value.is_finite():
        raise GridError(f"{what} should be finite, was {text!r}")
    scaled = value.scaleb(decimals)
    units = int(scaled)
    if units != scaled:
        raise GridError(f"{what} should fit {decimals} decimal places, was {text!r}")
    return units


def decimal_text(units: int, decimals: int) -> str:
    """Write ``units * 10**-decimals`` as the venue's canonical text, without trailing zeros."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def micro_from_text(text: str) -> int:
    """Read USDC text as micro-USDC, rounding what the venue prints below a micro-USDC.

    Aggregates of the venue carry float noise (``"2703997.4500000002"``), which is rounded half
    to even here; exact amounts come out exact.
    """
    try:
        return int(Decimal(text).scaleb(6).to_integral_value())
    except (InvalidOperation, ValueError):
        raise GridError(f"USDC amount should be a finite decimal, was {text!r}") from None


def micro_text(micro: int) -> str:
    """Write micro-USDC as canonical USDC text."""
    return decimal_text(micro, 6)


def usdc(micro: int) -> float:
    """Turn micro-USDC into float USDC, for display and statistics only."""
    return micro / MICRO_PER_USDC


class MarginTier(msgspec.Struct, frozen=True):
    """From ``notional_lower_micro`` upwards at most ``leverage_max`` applies."""

    notional_lower_micro: int
    leverage_max: int


class Instrument(msgspec.Struct, frozen=True):
    """One tradable market and its grid.

    Source: venue documentation, tick and lot size (prices: integer, or at most 5 significant
    figures and at most ``6 - sz_decimals`` decimals for perpetuals, ``8 - sz_decimals`` for spot).
    ``is_margin_locked`` marks the venue's ``strictIsolated``: isolated only, and margin that went
    into a position does not come out before it closes.
    """

    coin: str
    asset: int
    sz_decimals: int
    leverage_max: int = 1
    is_spot: bool = False
    is_delisted: bool = False
    is_isolated_only: bool = False
    is_margin_locked: bool = False
    margin_tiers: tuple[MarginTier, ...] = ()

    @property
    def px_decimals(self) -> int:
        """Decimals of the price unit."""
        return (PX_DECIMALS_SPOT if self.is_spot else PX_DECIMALS_PERP) - self.sz_decimals

    @property
    def px_scale(self) -> int:
        """Price units per USDC."""
        return _POWERS_OF_TEN[self.px_decimals]

    @property
    def lots_scale(self) -> int:
        """Lots per coin."""
        return _POWERS_OF_TEN[self.sz_decimals]

    def tick_units_at(self, px: int) -> int:
        """Return the smallest valid price step at ``px``, in price units; never cache it."""
        assert px > 0, f"invariant: price of {self.coin} above 0, was {px}"
        exponent = min(max(0, len(str(px)) - SIGNIFICANT_FIGURES), self.px_decimals)
        return _POWERS_OF_TEN[exponent]

    def is_px_on_grid(self, px: int) -> bool:
        """Tell whether the venue accepts ``px`` (price units) as a price."""
        return px > 0 and px % self.tick_units_at(px) == 0

    def px_units_on_grid(self, price: float, *, is_buy: bool) -> int:
        """Turn a float price into valid price units, never more aggressive than asked.

        A buy is rounded down and a sell up, so rounding never pays more or accepts less. A price
        within a millionth of a unit of a grid price counts as that grid price.

        Raises
        ------
        GridError
            If the price is not a finite number above 0, or a buy rounds down to nothing.
        """
        if not (math.isfinite(price) and price > 0.0):
            raise GridError(f"price of {self.coin} should be finite and above 0, was {price!r}")
        scaled = price * self.px_scale
        nearest = round(scaled)
        units = (
            nearest
            if abs(scaled - nearest) < _GRID_TOLERANCE * max(1.0, scaled * 1e-9)
            else (math.floor(scaled) if is_buy else math.ceil(scaled))
        )
        if units < 1:
            raise GridError(
                f"price of {self.coin} should be at least one unit of 1e-{self.px_decimals}, "
                f"was {price!r}"
            )
        tick = self.tick_units_at(units)
        floor = units - units % tick
        return floor if is_buy or floor == units else floor + tick

    def lots_floor(self, coins: float) -> int:
        """Turn a size in coins into lots, rounded towards 0 (sign kept)."""
        if not math.isfinite(coins):
            raise GridError(f"size of {self.coin} should be finite, was {coins!r}")
        scaled = abs(coins) * self.lots_scale
        nearest = round(scaled)
        lots = nearest if abs(scaled - nearest) < _GRID_TOLERANCE else math.floor(scaled)
        return lots if coins > 0 else -lots

    def px_from_text(self, text: str) -> int:
        """Read a price exactly; raise `GridError` if it does not fit the price unit."""
        return decimal_units(text, self.px_decimals, f"px of {self.coin}")

    def px_rounded_from_text(self, text: str) -> int:
        """Read an index price (mark, oracle, average) rounded to the nearest price unit."""
        try:
            return int(Decimal(text).scaleb(self.px_decimals).to_integral_value())
        except (InvalidOperation, ValueError):
            raise GridError(f"px of {self.coin} should be a number, was {text!r}") from None

    def px_text(self, px: int) -> str:
        """Write price units as the venue's canonical text."""
        return decimal_text(px, self.px_decimals)

    def px_float(self, px: float) -> float:
        """Turn price units into a float price, for signals and display."""
        return px / self.px_scale

    def lots_from_text(self, text: str) -> int:
        """Read a size exactly; raise `GridError` if it does not fit the lot."""
        return decimal_units(text, self.sz_decimals, f"size of {self.coin}")

    def lots_text(self, lots: int) -> str:
        """Write lots as the venue's canonical text."""
        return decimal_text(lots, self.sz_decimals)

    def coins(self, lots: float) -> float:
        """Turn lots into float coins, for signals and display."""
        return lots / self.lots_scale

    def notional_micro(self, px: int, lots: int) -> int:
        """Return price times size in micro-USDC, exact for perpetuals.

        Spot counts 10^-8 USDC per unit product and is rounded down to micro-USDC here.
        """
        return px * lots // 100 if self.is_spot else px * lots
