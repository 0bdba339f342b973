"""Margin arithmetic of the venue, as pure functions on integers.

Sources: venue documentation, Margining, Margin tiers, Liquidations; every formula reproduces the
recorded account states (``tests/simulation/test_margin.py``). Amounts are rounded down, as the
recordings show. It decides nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Protocol

import msgspec

from core.model.instrument import Instrument, MarginTier
from core.simulation.venue.account import Account, Position
from core.simulation.venue.orders import Order


class MarginTable:
    """Margin tiers of one instrument, with the maintenance deduction of each tier precomputed.

    ``maintenance = notional * mmr - deduction`` with ``mmr = 1 / (2 * leverage_max)`` of the tier
    and ``deduction(n) = deduction(n-1) + lower(n) * (mmr(n) - mmr(n-1))``, held as integers over
    the common denominator ``scale``.
    """

    __slots__ = ("deductions", "leverages", "lowers", "rates", "scale")

    def __init__(self, instrument: Instrument) -> None:
        tiers = instrument.margin_tiers or (MarginTier(0, instrument.leverage_max),)
        assert tiers[0].notional_lower_micro == 0, (
            f"invariant: first margin tier of {instrument.coin} should start at 0, "
            f"was {tiers[0].notional_lower_micro}"
        )
        self.lowers = tuple(t.notional_lower_micro for t in tiers)
        self.leverages = tuple(t.leverage_max for t in tiers)
        self.scale = lcm(*(2 * leverage for leverage in self.leverages))
        self.rates = tuple(self.scale // (2 * leverage) for leverage in self.leverages)
        deductions = [0]
        for n in range(1, len(tiers)):
            step = self.lowers[n] * (self.rates[n] - self.rates[n - 1])
            deductions.append(deductions[-1] + step)
        self.deductions = tuple(deductions)

    def tier_i(self, notional_micro: int) -> int:
        """Return the index of the tier a notional falls into."""
        n = len(self.lowers) - 1
        while n > 0 and notional_micro < self.lowers[n]:
            n -= 1
        return n

    def maintenance_micro(self, notional_micro: int) -> int:
        """Return the maintenance margin of a position, rounded down."""
        n = self.tier_i(notional_micro)
        return (notional_micro * self.rates[n] - self.deductions[n]) // self.scale

    def notional_micro_max(self, leverage: int) -> int | None:
        """Return the notional at which ``leverage`` stops being allowed; None if it never does."""
        for lower, leverage_max in zip(self.lowers, self.leverages, strict=True):
            if leverage_max < leverage:
                return lower
        return None


class MarketMargin(Protocol):
    """What margin needs to know of one coin's market."""

    mark_px: int
    table: MarginTable


class CrossMargin(msgspec.Struct, frozen=True, gc=False):
    """Cross numbers of one account: value, notional, initial and maintenance margin."""

    value_micro: int
    notional_micro: int
    initial_micro: int
    maintenance_micro: int


def cross_margin(account: Account, markets: Mapping[str, MarketMargin]) -> CrossMargin:
    """Value an account's cross positions at mark.

    ``initial`` is the sum of ``notional / leverage``, each rounded down.
    """
    value, notional, initial, maintenance = account.cash_micro, 0, 0, 0
    for coin, position in account.positions.items():
        if not position.is_cross:
            continue
        market = markets[coin]
        signed = position.lots * market.mark_px
        size = abs(signed)
        value += signed
        notional += size
        initial += size // position.leverage
        maintenance += market.table.maintenance_micro(size)
    return CrossMargin(value, notional, initial, maintenance)


def isolated_margin_micro(position: Position, mark_px: int) -> int:
    """Return the margin inside an isolated position: its raw USD plus its value."""
    return position.raw_usd_micro + position.lots * mark_px


def order_margin_micro(account: Account, skipped: Order | None = None) -> int:
    """Return the margin that resting orders hold: limit price times size over leverage.

    Orders against a position hold nothing for the lots they would close; the oldest orders use
    up that allowance first. Reduce-only and untriggered orders hold nothing, and spot orders lock
    tokens instead.

    Parameters
    ----------
    skipped : Order, optional
        Left out, to ask what is free without it.
    """
    return account.resting.margin_micro(account.lots, skipped)


def opening_lots(position_lots: int, lots: int, *, is_buy: bool, closing_before: int = 0) -> int:
    """Return the lots of an order that would open exposure rather than close the position.

    ``closing_before`` are lots of the position that earlier orders already close.
    """
    against = -position_lots if is_buy else position_lots
    return max(0, lots - max(0, against - closing_before)) if against > 0 else lots


def withdrawable_micro(cross: CrossMargin, order_margin: int) -> int:
    """Return what may leave the account, at least 0.

    ``value - max(initial margin, 10 % of cross notional) - order margin``; the recorded state
    179.007426 with notional 47.66235 gives 174.241191.
    """
    floor = max(cross.initial_micro, cross.notional_micro // 10)
    return max(0, cross.value_micro - floor - order_margin)


def liquidation_price(
    *,
    lots: int,
    mark_px: int,
    margin_micro: int,
    maintenance_other_micro: int | Fraction,
    table: MarginTable,
    px_scale: int,
) -> Fraction | None:
    """Return the mark price in USDC at which margin equals maintenance, None if there is none.

    Parameters
    ----------
    lots : int
        Signed position, not 0.
    margin_micro : int
        Cross account value, or the isolated position's margin, at ``mark_px``.
    maintenance_other_micro : int or Fraction
        Maintenance of the account's other cross positions; 0 for isolated.

    Notes
    -----
    Solves ``margin + lots * (p - mark) = |lots| * p * l(n) - deduction(n) + other`` for each tier
    n and takes the solution that falls into its own tier; ``l = 1 / (2 * leverage_max)``. With one
    tier this is the documented ``mark - side * available / size / (1 - l * side)``.
    """
    size = abs(lots)
    side = 1 if lots > 0 else -1
    fixed = margin_micro - lots * mark_px - maintenance_other_micro
    last = len(table.lowers) - 1
    for n in range(last + 1):
        rate = Fraction(table.rates[n], table.scale)
        deduction = Fraction(table.deductions[n], table.scale)
        px = (fixed + deduction) / (size * (rate - side))
        notional = size * px
        starts = n == 0 or notional >= table.lowers[n]
        ends = n == last or notional < table.lowers[n + 1]
        if starts and ends:
            return px / px_scale if px > 0 else None
    return None
