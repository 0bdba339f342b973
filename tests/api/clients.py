"""A client at a fake venue, on a clock that a test moves."""

from __future__ import annotations

from typing import Any

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.commands import CancelOrder, Command
from core.model.events import Event
from core.model.time import NS_PER_MS, NS_PER_S
from core.utils.clock import ManualClock
from tests.api.fake_venue import FakeVenue
from tests.api.instruments import BTC, ETH, KEY, place

NOW_MS = 1_700_000_000_000
TTL_NS = 30 * NS_PER_S
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"


def client(venue: FakeVenue, **options: Any) -> HyperliquidAPI:
    api = HyperliquidAPI(
        venue.url,
        clock=ManualClock(NOW_MS * NS_PER_MS),
        **{"signer": Signer(KEY), **options},
    )
    api.codec.learn((BTC, ETH))
    return api


async def executed(venue: FakeVenue, *commands: Command, **options: Any) -> list[Event]:
    api = client(venue, **options)
    try:
        return await api.execute(commands, ttl_ns=TTL_NS)
    finally:
        await api.close()


def cancel(leg: int = 0, oid: int = 0) -> CancelOrder:
    return CancelOrder(place(leg).cloid, oid, "BTC", 0)


def sent(venue: FakeVenue) -> list[dict[str, Any]]:
    return [body["action"] for body in venue.actions]
