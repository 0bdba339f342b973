"""From a kernel's codes to a wish for one position, in words a person understands.

Knows the codes of the kernels and nothing of what made a kernel choose one.
"""

from __future__ import annotations

import math

from core.model.codes import Direction
from core.model.intents import Intent, TargetPosition
from core.model.market import MarketView
from core.strategies import kernels
from core.strategies.base import KernelStrategy, Settings

WHY_TEXTS = {
    kernels.WHY_QUIET: "nothing asks for an entry",
    kernels.WHY_COST: "the move would not cover its costs",
    kernels.WHY_FALSIFIED: "the move has gone too far to be faded",
    kernels.WHY_ROOM: "stop or target would lie at or below zero",
    kernels.WHY_REVERTED: "the move that was hoped for has happened",
    kernels.WHY_CROSSED: "the averages have crossed against the position",
    kernels.WHY_STOPPED: "price is beyond the trailing stop",
    kernels.WHY_TARGET: "price is beyond the target",
}
"""Why a strategy wishes to be flat. No numbers that change from tick to tick: a reason that stays
the same reads the same, and is journalled once."""


class DirectionalStrategy(KernelStrategy[Settings]):
    """Base of the strategies that wish for one position with a stop and a target."""

    def intents(self, view: MarketView, verdict: kernels.Verdict, entry_text: str) -> list[Intent]:
        """Put a kernel's verdict into a wish; ``entry_text`` says why an entry is one."""
        if verdict.wish == kernels.WISH_KEEP:
            return []
        if verdict.wish == kernels.WISH_FLAT:
            return self.flat(view, WHY_TEXTS[verdict.why])
        is_long = verdict.wish == kernels.WISH_LONG
        is_entry = verdict.why == kernels.WHY_ENTRY
        return [
            TargetPosition(
                coin=view.coin,
                strategy=self.name,
                direction=Direction.LONG if is_long else Direction.SHORT,
                reason=entry_text if is_entry else "holding, with the stop the move has earned",
                stop_price=verdict.stop,
                target_price=None if math.isnan(verdict.target) else verdict.target,
            )
        ]
