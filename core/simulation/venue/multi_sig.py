"""Multi-signature accounts: whose keys act for them, and how many it takes.

It knows no signatures and no bytes: the wire recovers who signed and asks here whether that is
enough. Sources: reference sections 5.7 and 7.7; venue documentation, Multi-sig; answers of the
venue's testnet that others recorded in October 2026.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from core.simulation.venue import texts
from core.simulation.venue.agents import AgentBook
from core.simulation.venue.state import VenueState

SIGNERS_MAX = 10


class MultiSigPolicy(msgspec.Struct, frozen=True):
    """The keys that act for an account, sorted, and how many of them an action needs."""

    authorized: tuple[str, ...]
    threshold: int


class MultiSigBook:
    """Policies of all accounts that have one; methods return the venue's error text."""

    def __init__(self, state: VenueState, agents: AgentBook) -> None:
        self._state = state
        self._agents = agents
        self._policies: dict[str, MultiSigPolicy] = {}

    def policy(self, user: str) -> MultiSigPolicy | None:
        """Return an account's policy; None if its own key acts for it."""
        return self._policies.get(user)

    def convert(self, owner: str, authorized: Collection[str], threshold: int) -> str | None:
        """Let several keys act for an account from now on, instead of its own.

        Parameters
        ----------
        authorized : collection of str
            Lowercase addresses of accounts; doubles count once.
        """
        users = tuple(sorted(set(authorized)))
        if owner in users:
            return texts.MULTI_SIG_SELF
        if any(user not in self._state.accounts for user in users):
            return texts.MULTI_SIG_SIGNER_MISSING
        if len(users) > SIGNERS_MAX:
            return texts.MULTI_SIG_SIGNERS_MANY
        if not 1 <= threshold <= len(users):
            return texts.MULTI_SIG_THRESHOLD_INVALID
        self._policies[owner] = MultiSigPolicy(users, threshold)
        return None

    def revert(self, owner: str) -> None:
        """Let an account's own key act for it again."""
        self._policies.pop(owner, None)

    def refusal(
        self, user: str, *, leader: str, named_leader: str, signers: Collection[str]
    ) -> str | None:
        """Return why an action may not be carried out for ``user``.

        Parameters
        ----------
        leader, named_leader : str
            Who signed the outer action, and whom it names: an authorized user, or an agent of
            one that is itself an account.
        signers : collection of str
            Who signed the inner action: authorized users' own keys, each counted once. The leader
            need not be among them.
        """
        policy = self._policies.get(user)
        if policy is None:
            return texts.MULTI_SIG_USER_INVALID
        if leader != named_leader:
            return texts.MULTI_SIG_OUTER_INVALID
        principal = self._agents.master_of(leader, self._state.now_ns) or leader
        if principal not in policy.authorized:
            return texts.MULTI_SIG_OUTER_INVALID
        if leader not in self._state.accounts:
            return texts.MULTI_SIG_OUTER_UNKNOWN
        distinct = set(signers)
        if not distinct <= set(policy.authorized):
            return texts.MULTI_SIG_INNER_INVALID
        return texts.MULTI_SIG_SHORT if len(distinct) < policy.threshold else None

    def canonical(self) -> list[object]:
        """Return all policies as plain lists."""
        return [
            [user, list(policy.authorized), policy.threshold]
            for user, policy in sorted(self._policies.items())
        ]
