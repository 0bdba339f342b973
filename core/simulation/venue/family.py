"""Sub-accounts, and who may act for whom.

A sub-account is an account of its own with a master's key: own money, own limits, its volume
counted to the master. Sources: reference sections 6.2, 7.4, 7.7, 12.2; venue documentation, Fees.
"""

from __future__ import annotations

import hashlib

from core.simulation.venue import texts
from core.simulation.venue.records import SubAccountRow, VenueRefusal
from core.simulation.venue.state import VenueState

NAME_LENGTH_MAX = 16
_ADDRESS_BYTES = 20


def derived_address(purpose: str, *parts: str) -> str:
    """Return the address of something that has no key of its own, the same each time."""
    text = "/".join((purpose, *parts)).encode()
    digest = hashlib.blake2b(text, digest_size=_ADDRESS_BYTES, person=b"nova-address")
    return "0x" + digest.hexdigest()


class Family:
    """Opens sub-accounts and tells which account an action acts on."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._names: dict[str, str] = {}
        self._leaders: dict[str, str] = {}

    def create_sub_account(self, master: str, name: str) -> str | VenueRefusal:
        """Open a sub-account; return its address."""
        state, settings = self._state, self._state.settings
        account = state.accounts.get(master)
        if account is None:
            return VenueRefusal(texts.must_deposit(master))
        if not 1 <= len(name) <= NAME_LENGTH_MAX:
            return VenueRefusal(texts.SUB_ACCOUNT_NAME)
        if account.volume_micro < settings.sub_account_volume_micro:
            text = texts.sub_account_volume(settings.sub_account_volume_micro, account.volume_micro)
            return VenueRefusal(text)
        if master in state.masters:
            return VenueRefusal(texts.SUB_ACCOUNT_OF_SUB)
        count = len(self.members(master))
        earned = account.volume_micro // settings.sub_account_step_micro
        cap = min(settings.sub_accounts_base + earned, settings.sub_accounts_max)
        if count >= cap:
            return VenueRefusal(texts.SUB_ACCOUNTS_TOO_MANY)
        state.begin_action()
        address = derived_address("sub-account", master, str(count))
        state.open_account(address)
        state.masters[address] = master
        self._names[address] = name
        return address

    def rename(self, master: str, sub: str, name: str) -> str | None:
        """Give a sub-account another name; return the venue's error text."""
        if self._state.masters.get(sub) != master:
            return texts.sub_account_foreign(sub, master)
        if not 1 <= len(name) <= NAME_LENGTH_MAX:
            return texts.SUB_ACCOUNT_NAME
        self._names[sub] = name
        return None

    def members(self, master: str) -> tuple[str, ...]:
        """Return a master's sub-accounts in the order in which they were opened."""
        return tuple(sub for sub, owner in self._state.masters.items() if owner == master)

    def sub_accounts(self, master: str) -> tuple[SubAccountRow, ...]:
        """Return a master's sub-accounts with their names."""
        return tuple(
            SubAccountRow(name=self._names[sub], address=sub, master=master)
            for sub in self.members(master)
        )

    def lead(self, vault: str, leader: str) -> None:
        """Let a leader act for a vault from now on."""
        self._leaders[vault] = leader

    def is_vault(self, address: str) -> bool:
        """Tell whether an address is a vault's."""
        return address in self._leaders

    def acting_account(self, owner: str, vault_address: str | None) -> str | VenueRefusal:
        """Return the account that an owner's L1 action acts on.

        Parameters
        ----------
        vault_address : str or None
            Sub-account or vault named in the request; ``None`` acts on the owner's own account.
        """
        if vault_address is None:
            return owner
        is_own = owner in (self._state.masters.get(vault_address), self._leaders.get(vault_address))
        return vault_address if is_own else VenueRefusal(texts.vault_unknown(vault_address))

    def assess_fee_tiers(self, day: int) -> None:
        """Set every account's rates for a day; a family is judged by its volume together.

        Source: venue documentation, Fees: sub-account volume counts toward the master, and all of
        them share the same tier; vaults stand apart.
        """
        state = self._state
        together: dict[str, int] = {}
        for address, account in state.accounts.items():
            head = state.masters.get(address, address)
            together[head] = together.get(head, 0) + account.tier_volume_micro(day)
        for address, account in state.accounts.items():
            head = state.masters.get(address, address)
            account.set_fee_tier(together[head], state.settings)

    def canonical(self) -> list[object]:
        """Return names and leaders as plain lists."""
        return [sorted(self._names.items()), sorted(self._leaders.items())]
