"""Impact prices, premium and the funding rate they make: pure functions on integers.

Source: venue documentation, Funding. They reproduce every context of the recorded answer of
2026-02 (``tests/simulation/test_marks.py``). It keeps no samples and pays nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model.market import Level

RATE_E10 = 10_000_000_000
"""Rates and premiums count 10^-10, the digits the venue prints."""
RATE_E10_MAX = RATE_E10 * 4 // 100
INTEREST_8H_E10 = RATE_E10 // 10_000
CLAMP_8H_E10 = 5 * RATE_E10 // 10_000
IMPACT_NOTIONAL_MICRO = {"BTC": 20_000_000_000, "ETH": 20_000_000_000}
IMPACT_NOTIONAL_OTHER_MICRO = 6_000_000_000


def impact_pxs(coin: str, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[int, int] | None:
    """Return the average prices of selling and buying the coin's impact notional.

    Parameters
    ----------
    bids, asks : sequence of Level
        Both sides best first.

    Returns
    -------
    tuple of int or None
        (bid, ask) in price units; ``None`` where the depth does not carry the notional.
    """
    wanted = IMPACT_NOTIONAL_MICRO.get(coin, IMPACT_NOTIONAL_OTHER_MICRO)
    bid, ask = _impact_px(bids, wanted), _impact_px(asks, wanted)
    return None if bid is None or ask is None else (bid, ask)


def _impact_px(levels: Sequence[Level], notional_micro: int) -> int | None:
    """Average price of trading a notional, rounded to the price unit; None if depth is short."""
    left, lots_sum, paid = notional_micro, 0, 0
    for px, lots in levels:
        if px * lots >= left:
            last = max(1, left // px)
            return (paid + px * last) // (lots_sum + last)
        left -= px * lots
        lots_sum += lots
        paid += px * lots
    return None


def premium_e10(impact: tuple[int, int], oracle_px: int) -> int:
    """Return the premium over the oracle in 10^-10, rounded half to even.

    ``(max(impact bid - oracle, 0) - max(oracle - impact ask, 0)) / oracle``.
    """
    bid, ask = impact
    distance = max(bid - oracle_px, 0) - max(oracle_px - ask, 0)
    return divided(distance * RATE_E10, oracle_px)


def hourly_rate_e10(premium_average_e10: int) -> int:
    """Return the hourly funding rate of an hour's average premium, both in 10^-10.

    ``(premium + clamp(0.01 % - premium, -0.05 %, 0.05 %)) / 8``, at most 4 % either way.
    """
    pull = INTEREST_8H_E10 - premium_average_e10
    rate_8h = premium_average_e10 + max(-CLAMP_8H_E10, min(CLAMP_8H_E10, pull))
    return capped_e10(divided(rate_8h, 8))


def capped_e10(rate_e10: int) -> int:
    """Return a rate within the venue's cap of 4 % an hour."""
    return max(-RATE_E10_MAX, min(RATE_E10_MAX, rate_e10))


def divided(numerator: int, denominator: int) -> int:
    """Divide integers, rounding half to even; ``denominator`` is above 0."""
    assert denominator > 0, f"invariant: denominator above 0, was {denominator}"
    quotient, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    is_up = doubled > denominator or (doubled == denominator and quotient % 2 == 1)
    return quotient + 1 if is_up else quotient
