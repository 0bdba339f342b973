"""Referral codes: who brought whom, and the discount that comes with it.

Sources: reference sections 7.4, 7.7 and 13. The referrer's own share of the fees is not simulated.
"""

from __future__ import annotations

from core.model.instrument import MICRO_PER_USDC
from core.simulation.venue import texts
from core.simulation.venue.records import Referral
from core.simulation.venue.state import VenueState

CODE_LENGTH_MAX = 20
CODE_VOLUME_MICRO = 10_000 * MICRO_PER_USDC
"""Volume from which an account may hand out a code (venue documentation, Referrals)."""


class ReferralBook:
    """All codes, and who uses which."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._owners: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self._used: dict[str, str] = {}

    def register(self, owner: str, code: str) -> str | None:
        """Create a code for others to use; return the venue's error text."""
        account = self._state.accounts.get(owner)
        if account is None:
            return texts.must_deposit(owner)
        if not (1 <= len(code) <= CODE_LENGTH_MAX and code.isalnum()):
            return texts.REFERRAL_INVALID
        if account.volume_micro < CODE_VOLUME_MICRO:
            return texts.referral_volume(CODE_VOLUME_MICRO, account.volume_micro)
        if owner in self._codes or code in self._owners:
            return texts.REFERRAL_TAKEN
        self._codes[owner] = code
        self._owners[code] = owner
        return None

    def set_referrer(self, owner: str, code: str) -> str | None:
        """Use somebody's code, once; the discount holds from the next fill on."""
        account = self._state.accounts.get(owner)
        if account is None:
            return texts.must_deposit(owner)
        referrer = self._owners.get(code)
        if referrer is None:
            return texts.REFERRAL_UNKNOWN
        if referrer == owner or owner in self._state.masters:
            return texts.REFERRAL_INVALID
        if owner in self._used:
            return texts.REFERRAL_SET
        self._used[owner] = code
        account.is_referred = True
        return None

    def view(self, owner: str) -> Referral:
        """Return an account's referrer, code, and whom it brought."""
        code = self._used.get(owner, "")
        own = self._codes.get(owner, "")
        return Referral(
            referrer=self._owners.get(code, ""),
            referrer_code=code,
            own_code=own,
            referred=tuple(user for user, used in self._used.items() if own and used == own),
        )

    def canonical(self) -> list[object]:
        """Return codes and their users as plain lists."""
        return [sorted(self._codes.items()), sorted(self._used.items())]
