"""Builders: who may add a fee to whose orders, and what they have earned.

A builder's fee comes on top of the venue's, is part of the fill's ``fee``, and waits for the
builder until he claims it. Sources: reference sections 7.5 to 7.7 and 13; venue documentation,
Builder codes.
"""

from __future__ import annotations

from core.model.instrument import MICRO_PER_USDC
from core.simulation.venue import texts
from core.simulation.venue.margin import cross_margin
from core.simulation.venue.records import BuilderFee
from core.simulation.venue.state import VenueState
from core.simulation.venue.transfers import move_cash

APPROVALS_MAX = 10
TENTHS_MAX_PERP = 100
TENTHS_MAX_SPOT = 1_000
"""Largest fees: 0.1 % on perpetuals and 1 % on spot, in tenths of a basis point."""
BUILDER_VALUE_MIN_MICRO = 100 * MICRO_PER_USDC


class BuilderBook:
    """Approvals of all accounts; what builders earned lies in the state."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._limits: dict[str, dict[str, int]] = {}

    def approve(self, owner: str, builder: str, tenths_bps: int) -> str | None:
        """Let a builder charge up to a rate, in tenths of a basis point; 0 takes it back."""
        account = self._state.accounts.get(builder)
        limits = self._limits.setdefault(owner, {})
        if tenths_bps == 0:
            limits.pop(builder, None)
            return None
        if not 0 < tenths_bps <= TENTHS_MAX_SPOT:
            return texts.BUILDER_FEE_HIGH
        value = 0
        if account is not None:
            value = cross_margin(account, self._state.books).value_micro
        if value < BUILDER_VALUE_MIN_MICRO:
            return texts.BUILDER_POOR
        if builder not in limits and len(limits) >= APPROVALS_MAX:
            return texts.BUILDERS_TOO_MANY
        limits[builder] = tenths_bps
        return None

    def limit(self, owner: str, builder: str) -> int:
        """Return what a builder may charge an account, in tenths of a basis point."""
        return self._limits.get(owner, {}).get(builder, 0)

    def approved(self, owner: str) -> tuple[str, ...]:
        """Return the builders an account has approved, oldest first."""
        return tuple(self._limits.get(owner, {}))

    def refusal(self, payer: str, fee: BuilderFee, *, is_spot: bool) -> str | None:
        """Return why an order may not pay this builder.

        Parameters
        ----------
        payer : str
            Who approved: the master, for his sub-accounts too.
        """
        cap = TENTHS_MAX_SPOT if is_spot else TENTHS_MAX_PERP
        if fee.tenths_bps > self.limit(payer, fee.builder) or fee.tenths_bps < 0:
            return texts.BUILDER_UNAPPROVED
        return texts.BUILDER_FEE_HIGH if fee.tenths_bps > cap else None

    def earned_micro(self, builder: str) -> int:
        """Return what waits for a builder, in micro-USDC."""
        return self._state.rewards_micro.get(builder, 0)

    def claim(self, owner: str) -> str | None:
        """Pay out what waits for an account (``claimRewards``)."""
        state = self._state
        amount = state.rewards_micro.pop(owner, 0)
        if amount <= 0:
            return texts.NO_REWARDS
        state.begin_action()
        move_cash(state, state.accounts[owner], "rewardsClaim", amount)
        return None

    def canonical(self) -> list[object]:
        """Return all approvals as plain lists."""
        return [[owner, sorted(limits.items())] for owner, limits in sorted(self._limits.items())]
