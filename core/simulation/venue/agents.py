"""Agent wallets: keys that sign for an account, their names, lives and removals.

Source: venue documentation, Nonces and API wallets, and logged testnet answers. An agent has no
account and no permissions of its own; its address is never used twice.
"""

from __future__ import annotations

import msgspec

from core.model.time import NS_PER_MS
from core.simulation.venue import texts
from core.simulation.venue.outputs import OUTSIDE, AgentRow
from core.simulation.venue.settings import VenueSettings

NAME_LENGTH_MAX = 16
_EXPIRY_WORD = " valid_until "


class Agent(msgspec.Struct, frozen=True):
    """One approved key; the unnamed agent has an empty name."""

    address: str
    master: str
    name: str
    valid_until_ns: int


class AgentBook:
    """Agents of all accounts, the living by address and the dead by why they died."""

    def __init__(self, settings: VenueSettings) -> None:
        self._settings = settings
        self._living: dict[str, Agent] = {}
        self._replaced: dict[str, str] = {}
        self._removed: set[str] = set()
        self._removal_ns: dict[str, int] = {}

    def approve(
        self,
        master: str,
        agent: str,
        name: str,
        valid_until_ns: int | None,
        now_ns: int,
        *,
        count_max: int,
    ) -> str | None:
        """Approve, replace (same name) or remove (zero address) an agent.

        ``name`` may end in `` valid_until <ms>``, which wins over ``valid_until_ns``; without
        either the agent lives for the settings' default time. ``count_max`` are the named agents
        an account may have. Returns the venue's error text.
        """
        name, stated_ns = _split_expiry(name)
        expiry_ns = stated_ns if stated_ns is not None else valid_until_ns
        if len(name) > NAME_LENGTH_MAX:
            return texts.AGENT_NAME_LONG
        removal_ns = self._removal_ns.get(master)
        if removal_ns is not None and now_ns - removal_ns < self._settings.agent_removal_ns:
            return texts.AGENT_PENDING
        former = next((a for a in self.of(master) if a.name == name), None)
        if agent == OUTSIDE:
            self._remove(former, now_ns)
            return None
        if expiry_ns is None:
            expiry_ns = now_ns + self._settings.agent_life_ns
        if not now_ns < expiry_ns <= now_ns + self._settings.agent_life_ns_max:
            return texts.AGENT_EXPIRED
        if agent in self._living or agent in self._replaced or agent in self._removed:
            return texts.AGENT_USED
        named = sum(1 for a in self.of(master) if a.name)
        if name and former is None and named >= count_max:
            return texts.agents_too_many(count_max)
        if former is not None:
            del self._living[former.address]
            self._replaced[former.address] = master
        self._living[agent] = Agent(agent, master, name, expiry_ns)
        return None

    def _remove(self, agent: Agent | None, now_ns: int) -> None:
        """Let an agent die; its master may not approve anew for a few seconds."""
        if agent is None:
            return
        del self._living[agent.address]
        self._removed.add(agent.address)
        self._removal_ns[agent.master] = now_ns

    def master_of(self, address: str, now_ns: int) -> str | None:
        """Return whom a living, unexpired agent acts for."""
        agent = self._living.get(address)
        return agent.master if agent is not None and now_ns < agent.valid_until_ns else None

    def unknown_text(self, address: str) -> str:
        """Return the venue's words for a signer that may not act."""
        master = self._replaced.get(address)
        return texts.must_deposit(master) if master else texts.signer_unknown(address)

    def of(self, master: str) -> list[Agent]:
        """Return an account's living agents in order of approval."""
        return [agent for agent in self._living.values() if agent.master == master]

    def rows(self, master: str) -> tuple[AgentRow, ...]:
        """Return the named agents, as ``extraAgents`` lists them."""
        return tuple(
            AgentRow(name=a.name, address=a.address, valid_until_ns=a.valid_until_ns)
            for a in self.of(master)
            if a.name
        )

    def unnamed(self, master: str) -> AgentRow | None:
        """Return the agent without a name, if there is one."""
        for agent in self.of(master):
            if not agent.name:
                return AgentRow(name="", address=agent.address, valid_until_ns=agent.valid_until_ns)
        return None

    def canonical(self) -> list[list[object]]:
        """Return all agents, living and dead, as plain lists."""
        living = [[a.address, a.master, a.name, a.valid_until_ns] for a in self._living.values()]
        gone: list[object] = [sorted(self._replaced.items()), sorted(self._removed)]
        return [*living, [*gone, sorted(self._removal_ns.items())]]


def _split_expiry(name: str) -> tuple[str, int | None]:
    """Split ``"bot1 valid_until 1707776000000"`` into the name and nanoseconds."""
    stem, word, stamp = name.rpartition(_EXPIRY_WORD)
    if word and stamp.isdigit():
        return stem, int(stamp) * NS_PER_MS
    return name, None
