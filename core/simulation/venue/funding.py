"""Hourly funding: who holds a position when the hour turns pays or receives.

Source: venue documentation, Funding: ``payment = -position * oracle * hourly rate``, capped at
4 % an hour, not pro-rated. Rates count 10^-10, the digits the venue prints; the payment is
truncated towards 0 to micro-USDC and the pool on the other side holds the remainder.
"""

from __future__ import annotations

from core.simulation.venue.outputs import LIQUIDATOR, FundingOutput
from core.simulation.venue.state import VenueState

RATE_E10 = 10_000_000_000
RATE_E10_MAX = RATE_E10 * 4 // 100


def rate_e10_from(rate_1h: float) -> int:
    """Turn an hourly rate into the exact integer the venue pays by, within its cap."""
    return max(-RATE_E10_MAX, min(RATE_E10_MAX, round(rate_1h * RATE_E10)))


def funding_micro(position_lots: int, oracle_px: int, rate_e10: int) -> int:
    """Return the cash flow of one position, above 0 when it receives."""
    exact = -position_lots * oracle_px * rate_e10
    size = abs(exact) // RATE_E10
    return size if exact >= 0 else -size


def pay_funding(state: VenueState) -> None:
    """Pay one hour of funding on every position of every account."""
    for coin, book in state.books.items():
        if not book.rate_e10 or not book.oracle_px:
            continue
        for account in book.holders.values():
            if account.address == LIQUIDATOR:
                continue
            lots = account.positions[coin].lots
            amount = funding_micro(lots, book.oracle_px, book.rate_e10)
            account.apply_funding(coin, amount)
            state.funding_pool_micro -= amount
            output = FundingOutput(
                owner=account.address,
                coin=coin,
                funding_micro=amount,
                position_lots=lots,
                rate_e10=book.rate_e10,
                ts_ns=state.now_ns,
                hash=state.action_hash,
            )
            account.funding.append(output)
            state.outputs.append(output)
