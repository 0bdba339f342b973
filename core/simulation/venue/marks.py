"""The venue's own mark price, for ticks that bring none.

Source: venue documentation, Robust price indices: the median of (1) the oracle plus a 150 s EMA of
(mid - oracle), (2) the median of best bid, best ask and last trade, (3) the median mid of other
venues' perpetuals. With exactly two of them, the 30 s EMA of (2) joins. Recorded marks stand on the
price grid, so the result is rounded to it. Everything is integers: the decay is the correctly
rounded 18 digits of the exponential, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from core.model.time import NS_PER_S
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.book import CoinBook
from core.simulation.venue.premium import divided

BASIS_TAU_NS = 150 * NS_PER_S
TOUCH_TAU_NS = 30 * NS_PER_S
_QUARTERS = 4
"""Prices count quarters of the price unit here, which makes every mean of two of them exact."""
_DIGITS = 18
_ONE = 10**_DIGITS
_TAUS_MAX = 50
"""After so many time constants nothing is left: exp(-50) is below the last digit."""
_CONTEXT = Context(prec=28)


class Ema:
    """A time-weighted average that forgets: ``sum = sum * exp(-t / tau) + sample * t``.

    Source: venue documentation, Robust price indices. The first sample has no time behind it yet
    and stands for itself until the second.
    """

    __slots__ = ("_denominator", "_numerator", "_sample", "_sample_ns", "_tau_ns")

    def __init__(self, tau_ns: int) -> None:
        self._tau_ns = tau_ns
        self._numerator = self._denominator = 0
        self._sample = 0
        self._sample_ns: int | None = None

    def add(self, sample: int, now_ns: int) -> None:
        """Take a sample that has held since the former one."""
        if self._sample_ns is not None:
            elapsed_ns = now_ns - self._sample_ns
            kept = _kept(elapsed_ns, self._tau_ns)
            self._numerator = self._numerator * kept // _ONE + sample * elapsed_ns
            self._denominator = self._denominator * kept // _ONE + elapsed_ns
        self._sample, self._sample_ns = sample, now_ns

    @property
    def value(self) -> int | None:
        """The average, rounded; ``None`` before the first sample."""
        if self._sample_ns is None:
            return None
        if self._denominator == 0:
            return self._sample
        return divided(self._numerator, self._denominator)

    def canonical(self) -> list[Any]:
        """Return all that decides the future; sums as text, for they outgrow 64 bits."""
        sums = [str(self._numerator), str(self._denominator)]
        return [*sums, self._sample, self._sample_ns]


@lru_cache(maxsize=4096)
def _kept(elapsed_ns: int, tau_ns: int) -> int:
    """Return ``exp(-elapsed / tau)`` in 10^-18."""
    if elapsed_ns > _TAUS_MAX * tau_ns:
        return 0
    share = _CONTEXT.exp(_CONTEXT.divide(Decimal(-elapsed_ns), Decimal(tau_ns)))
    return int(_CONTEXT.scaleb(share, _DIGITS).to_integral_value(context=_CONTEXT))


class MarkDesk:
    """Memory and rule of the marks that the venue computes itself, coin by coin."""

    def __init__(self) -> None:
        self._averages: dict[str, tuple[Ema, Ema]] = {}

    def mark_px(self, book: CoinBook, tick: MarketTick, now_ns: int) -> int:
        """Return the mark after a tick that brings none, in price units on the grid.

        The book shows the tick already. Spot pairs have neither oracle nor other venues: their
        mark is (2) alone. An empty book that never traded is marked at the oracle.
        """
        touch = _touch(book)
        candidates: list[int] = []
        if book.instrument.is_spot:
            if touch is not None:
                candidates.append(touch)
        else:
            candidates = self._candidates(book, tick, touch, now_ns)
        quarters = _median(candidates) if candidates else tick.oracle_px * _QUARTERS
        px = max(1, divided(quarters, _QUARTERS))
        step = book.instrument.tick_units_at(px)
        return divided(px, step) * step if step > 1 else px

    def _candidates(
        self, book: CoinBook, tick: MarketTick, touch: int | None, now_ns: int
    ) -> list[int]:
        """Update the averages and return the prices that exist, in quarters."""
        if book.instrument.coin not in self._averages:
            self._averages[book.instrument.coin] = (Ema(BASIS_TAU_NS), Ema(TOUCH_TAU_NS))
        basis, touches = self._averages[book.instrument.coin]
        bid, ask = book.best_px(is_buy=True), book.best_px(is_buy=False)
        if bid and ask:
            basis.add(2 * (bid + ask) - tick.oracle_px * _QUARTERS, now_ns)
        if touch is not None:
            touches.add(touch, now_ns)
        average = basis.value
        prices = (
            None if average is None else tick.oracle_px * _QUARTERS + average,
            touch,
            None if tick.external_px is None else tick.external_px * _QUARTERS,
        )
        found = [price for price in prices if price is not None]
        average = touches.value
        if len(found) == 2 and average is not None:
            found.append(average)
        return found

    def canonical(self) -> list[Any]:
        """Return all that decides the future of the marks."""
        rows = sorted(self._averages.items())
        return [[coin, basis.canonical(), touches.canonical()] for coin, (basis, touches) in rows]


def _touch(book: CoinBook) -> int | None:
    """Return the median of best bid, best ask and last trade that exist, in quarters."""
    prices = (book.best_px(is_buy=True), book.best_px(is_buy=False), book.last_px)
    found = [px * _QUARTERS for px in prices if px]
    return _median(found) if found else None


def _median(values: Sequence[int]) -> int:
    """Return the middle of the values, the mean of the middle two for an even count."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2
