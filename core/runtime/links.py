"""Where a wired session's commands go: the venue over the wire, or a local account on paper.

Both offer the same few things (`core.runtime.paper_link` is the other), so that `WiredRun` cannot
tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.api.gateway import Gateway, account_report
from core.api.hyperliquid_api import HyperliquidAPI
from core.model.commands import Command
from core.model.events import Event
from core.model.ports import Emit


class TradingLink(Protocol):
    """The trading half of a connection."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued and nothing awaits an answer."""
        ...

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands in order without blocking."""
        ...

    def observe(self, event: Event) -> None:
        """See a market event before the engine does."""
        ...

    async def start(self) -> None:
        """Be ready to take commands."""
        ...

    async def close(self) -> None:
        """Take no more."""
        ...

    async def report(self, since_ns: int) -> list[Event]:
        """Return fills and cash flows since a time, then open orders and account state."""
        ...

    async def report_budget(self) -> list[Event]:
        """Return what is left of the rate budgets."""
        ...


class WireLink:
    """The venue itself."""

    def __init__(self, api: HyperliquidAPI, emit: Emit, *, ttl_ns: int) -> None:
        self._api = api
        self._gateway = Gateway(api, emit, ttl_ns=ttl_ns)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued and nothing awaits an answer."""
        return self._gateway.is_idle

    def send(self, commands: Sequence[Command]) -> None:
        """Queue commands for signing and sending."""
        self._gateway.send(commands)

    def observe(self, event: Event) -> None:
        """Nothing to see: the venue knows its own market."""

    async def start(self) -> None:
        """Start the sender."""
        await self._gateway.start()

    async def close(self) -> None:
        """Stop the sender."""
        await self._gateway.close()

    async def report(self, since_ns: int) -> list[Event]:
        """Ask for fills, cash flows, open orders and account state."""
        return await account_report(self._api, since_ns)

    async def report_budget(self) -> list[Event]:
        """Ask for the address budget."""
        return [await self._api.fetch_rate_budget()]


LinkFactory = Callable[[Emit], TradingLink]
