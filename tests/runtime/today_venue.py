"""The local exchange as a process of its own that plays today at ordinary speed, and clients of it.

Commands run on the world's clock, so the venue they talk to must, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.runtime.options import DemoOptions
from core.runtime.venue_process import VenueProcess
from tests.runtime.local_venue import AGENT, AGENT_KEY, MASTER

WATCHDOG_KEY = "0x" + "44" * 32


class TodayVenue:
    """A funded master with two agents, and the master's own client."""

    def __init__(self, process: VenueProcess, api: HyperliquidAPI) -> None:
        self.base_url, self.api = process.base_url, api

    @property
    def env(self) -> dict[str, str]:
        """Credentials as a person sets them."""
        return {
            "HYPERLIQUID_AGENT_KEY": AGENT_KEY,
            "HYPERLIQUID_WATCHDOG_KEY": WATCHDOG_KEY,
            "HYPERLIQUID_ACCOUNT": MASTER.address,
            "HYPERLIQUID_VAULT": "",
        }

    async def trade(self) -> None:
        """Open a position in BTC and let an order rest below the market."""
        await self.api.place_order(coin="BTC", is_buy=True, size=0.02, slippage=0.05)
        bids = (await self.api.fetch_book("BTC")).bids
        low = round(bids[0][0] / 10 * 0.9)
        await self.api.place_order(coin="BTC", is_buy=True, size=0.001, price=float(low))
        assert await self.api.get_positions() and await self.api.get_open_orders()

    async def is_flat(self) -> bool:
        """Ask the venue whether nothing is left."""
        return not (await self.api.get_open_orders() or await self.api.get_positions())


@asynccontextmanager
async def today_venue(*coins: str) -> AsyncIterator[TodayVenue]:
    """Serve today's market; ends with the block."""
    process = await VenueProcess.start(DemoOptions(speed=1.0, coins=coins))
    api = HyperliquidAPI(process.base_url, signer=MASTER, is_mainnet=False)
    try:
        await process.fund(MASTER.address, 10_000.0)
        await api.connect()
        await api.approve_agent(MASTER, AGENT.address, "bot")
        await api.approve_agent(MASTER, Signer(WATCHDOG_KEY).address, "watchdog")
        yield TodayVenue(process, api)
    finally:
        await api.close()
        await process.stop()
