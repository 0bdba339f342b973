"""How a kind of market settles: what an order must be able to pay, and what a match moves.

A book knows its settlement and nothing of margin or balances; matching and judgement ask it and
are the same for perpetuals and spot. The rules themselves live in ``perp`` and ``spot``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from core.model.instrument import Instrument
from core.simulation.venue.outputs import LiquidationMark, OrderRequest, VenueStatus
from core.simulation.venue.settings import RATE_E8

if TYPE_CHECKING:
    from core.simulation.venue.account import Account
    from core.simulation.venue.book import CoinBook
    from core.simulation.venue.orders import Order
    from core.simulation.venue.state import VenueState

Verdict = tuple[VenueStatus, str]
"""Why an order is rejected: the venue's status and its text."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a match as its owner's account has to book it.

    ``direction`` is the fill's display text where it does not follow from the position.
    """

    px: int
    lots: int
    tid: int
    is_maker: bool
    liquidation: LiquidationMark | None = None
    direction: str = ""


def fee_of(notional: int, rate_e8: int) -> int:
    """Return the fee of a fill in the notional's own unit, truncated; a rebate is negative.

    Source: venue documentation, Fees; 4307.4 * 0.0025 at 0.045 % costs 0.004845.
    """
    size = notional * abs(rate_e8) // RATE_E8
    return size if rate_e8 >= 0 else -size


class Settlement(Protocol):
    """The money side of one book."""

    @property
    def units_per_micro(self) -> int:
        """How many of ``px * lots`` make one micro-USDC."""
        ...

    def minimum_text(self, instrument: Instrument, minimum_micro: int) -> str:
        """Return the text that refuses an order below the least notional."""
        ...

    def malformed_text(self, request: OrderRequest) -> str | None:
        """Return why no order of this shape is for this kind of market."""
        ...

    def refusal(
        self, state: VenueState, account: Account, book: CoinBook, order: Order
    ) -> Verdict | None:
        """Return why the account cannot carry an order that is placed, or wakes, now."""
        ...

    def payable_lots(
        self, state: VenueState, account: Account, order: Order, *, px: int, lots: int
    ) -> int:
        """Return how many of ``lots`` a taker can pay for at ``px``."""
        ...

    def unpayable(self, instrument: Instrument) -> Verdict:
        """Return the rejection of a taker that could not pay for a single lot."""
        ...

    def can_fill(self, state: VenueState, account: Account, maker: Order, lots: int) -> bool:
        """Tell whether a resting order's owner can still carry its fill."""
        ...

    def held_wei(self, order: Order, token: int) -> int:
        """Return how much of a spot token a resting order locks."""
        ...

    def book_fill(self, state: VenueState, book: CoinBook, order: Order, match: Match) -> None:
        """Book one side of a match on its owner's account and tell him."""
        ...

    def book_outside(self, state: VenueState, book: CoinBook, *, lots_signed: int, px: int) -> None:
        """Book the outside market's side, above 0 where it bought."""
        ...
