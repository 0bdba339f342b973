"""One coin's desk: what is wished there, by whom, how big, and what stands in the way.

Plain state with the rules that need nothing but itself. Knows no market and no account.
"""

from __future__ import annotations

import msgspec

from core.engines.market_regime import RegimeState
from core.engines.token_metadata import VolatilityProfile
from core.model.codes import Direction, Purpose, RefusalCode
from core.model.instrument import Instrument
from core.model.intents import Intent, TargetPosition
from core.model.step import Decision
from core.model.time import NS_PER_S

BACKOFF_NS_MAX = 300 * NS_PER_S
BACKOFF_SHIFT_MAX = 9


class Lane:
    """Groups of orders that back off together after a no of the venue."""

    OPEN = "open"
    CLOSE = "close"
    PROTECT = "protect"


LANE_OF = {
    Purpose.ENTRY: Lane.OPEN,
    Purpose.QUOTE: Lane.OPEN,
    Purpose.EXIT: Lane.CLOSE,
    Purpose.FLATTEN: Lane.CLOSE,
    Purpose.STOP: Lane.PROTECT,
    Purpose.TARGET: Lane.PROTECT,
}


class Backoff(msgspec.Struct):
    """Exponential waiting in event time: 1, 2, 4 … seconds."""

    count: int = 0
    until_ns: int = 0

    def fail(self, now_ns: int, *, ns_max: int = BACKOFF_NS_MAX) -> None:
        """Wait twice as long as before."""
        wait_ns = min(NS_PER_S << min(self.count, BACKOFF_SHIFT_MAX), ns_max)
        self.count += 1
        self.until_ns = now_ns + wait_ns

    def succeed(self) -> None:
        """Forget past failures."""
        self.count, self.until_ns = 0, 0


class Desk(msgspec.Struct):
    """All state of one coin's decisions.

    ``wish`` stands until its strategy replaces it. ``wish_lots`` and ``quote_lots`` were sized
    when it came. ``stop_px`` and ``target_px`` guard the position that is held or about to be.
    ``barred`` is the direction that may not be entered before ``barred_until_ns``, ``FLAT``
    meaning both. ``closing`` is why the position must go, empty if it need not. A desk that is
    not traded holds what somebody else opened there; no strategy is ever asked.
    """

    coin: str
    is_traded: bool = True
    strategy: str = ""
    strategy_since_ns: int = 0
    strategy_reason: str = "nothing decided yet"
    must_leave: bool = False
    regime: RegimeState = msgspec.field(default_factory=RegimeState)
    profile: VolatilityProfile = VolatilityProfile()
    wish: Intent | None = None
    wish_lots: int = 0
    quote_lots: int = 0
    bound_by: str = ""
    stop_px: int = 0
    target_px: int = 0
    barred: Direction | None = None
    barred_until_ns: int = 0
    closing: str = ""
    is_closing_asked: bool = False
    decided_ns: int = 0
    is_due: bool = False
    leverage_set: int = 0
    leverage_asked_ns: int = 0
    backoffs: dict[str, Backoff] = {}
    refusal: RefusalCode | None = None
    refusal_text: str = ""
    decision: Decision | None = None

    def backoff(self, purpose: Purpose) -> Backoff:
        """Return the waiting of a purpose's lane."""
        return self.backoffs.setdefault(LANE_OF[purpose], Backoff())

    def drop_wish(self) -> None:
        """Wish for nothing; what is held stays as it is, guarded by its stop."""
        self.wish, self.wish_lots, self.quote_lots, self.bound_by = None, 0, 0, ""

    def forget_position(self) -> None:
        """Drop what was about the position held so far: it is gone, or on the other side now."""
        self.stop_px = self.target_px = 0
        self.closing, self.is_closing_asked = "", False
        self.backoffs.pop(Lane.CLOSE, None)

    def bar(self, direction: Direction, until_ns: int) -> None:
        """Forbid entries in a direction (``FLAT``: both) for a while."""
        self.barred, self.barred_until_ns = direction, until_ns

    def is_barred(self, direction: Direction, now_ns: int) -> bool:
        """Tell whether a direction may not be entered now."""
        return now_ns < self.barred_until_ns and self.barred in (direction, Direction.FLAT)


def wish_text(desk: Desk, instrument: Instrument | None) -> str:
    """Say what is wished, in words that change only when the wish does."""
    wish = desk.wish
    if wish is None or instrument is None:
        return "nothing"
    if not isinstance(wish, TargetPosition):
        buys = sum(q.is_buy for q in wish.quotes)
        return f"{buys} bids and {len(wish.quotes) - buys} offers"
    if wish.direction is Direction.FLAT:
        return "flat"
    parts = [f"{wish.direction} {instrument.lots_text(desk.wish_lots)} {desk.coin}"]
    if desk.stop_px:
        parts.append(f"stop {instrument.px_text(desk.stop_px)}")
    if desk.target_px:
        parts.append(f"target {instrument.px_text(desk.target_px)}")
    return ", ".join(parts)
