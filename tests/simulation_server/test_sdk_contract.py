"""The official Python SDK, unmodified, against the simulated exchange on its own port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.model.instrument import MICRO_PER_USDC
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.simulation.market.shifted_source import ShiftedSource, days_between
from core.simulation.server import VenueServer
from core.utils.clock import ScaledClock

pytestmark = [pytest.mark.contract, pytest.mark.slow]

KEY = "0x" + "11" * 32
WAIT_SECONDS = 20.0


class ServerThread:
    """A venue on a free port, in a thread of its own, whose market happens now."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)

    async def _start(self) -> str:
        now_ns = time.time_ns()
        offset_ns = days_between(SAMPLE_START_NS, now_ns)
        sample = SampleSource(["BTC", "ETH"], start_ns=now_ns - offset_ns, ticks_per_bar=60)
        source = ShiftedSource(sample, offset_ns)
        self.exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
        clock = ScaledClock(now_ns, 1.0, time.monotonic_ns())
        self._server = VenueServer(self.exchange, source, clock, port=0)
        return f"http://127.0.0.1:{await self._server.start()}"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Heard:
    """What the SDK's websocket delivered, by channel."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Any]] = {}
        self._changed = threading.Condition()

    def __call__(self, message: Any) -> None:
        with self._changed:
            self._messages.setdefault(message["channel"], []).append(message["data"])
            self._changed.notify_all()

    def wait(self, channel: str, wanted: Any) -> Any:
        """Return the first message of a channel that satisfies ``wanted``."""
        found: list[Any] = []

        def is_there() -> bool:
            found[:] = [data for data in self._messages.get(channel, ()) if wanted(data)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(is_there, WAIT_SECONDS), f"nothing came on {channel}"
        return found[0]


@pytest.fixture(scope="module")
def venue() -> Iterator[ServerThread]:
    server = ServerThread()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def clients(venue: ServerThread) -> Iterator[tuple[Any, Any, str]]:
    import requests
    from eth_account import Account
    from hyperliquid.exchange import Exchange
    from hyperliquid.info import Info

    account = Account.from_key(KEY)
    body = {"user": account.address, "usd": 10_000}
    assert requests.post(f"{venue.url}/faucet", json=body, timeout=10).status_code == 200
    info = Info(venue.url, timeout=20)
    yield info, Exchange(account, venue.url, timeout=20), account.address
    info.disconnect_websocket()


def status_of(answer: Any) -> Any:
    assert answer["status"] == "ok", answer
    return answer["response"]["data"]["statuses"][0]


def test_sdk_trades_modifies_cancels_and_hears(
    venue: ServerThread, clients: tuple[Any, Any, str]
) -> None:
    from hyperliquid.utils.types import Cloid

    info, exchange, address = clients
    heard = Heard()
    for wish in (
        {"type": "bbo", "coin": "BTC"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "userFills", "user": address},
        {"type": "orderUpdates", "user": address},
    ):
        info.subscribe(wish, heard)
    heard.wait("userFills", lambda data: data["isSnapshot"])
    heard.wait("l2Book", lambda data: data["coin"] == "BTC" and len(data["levels"]) == 2)
    heard.wait("bbo", lambda data: data["bbo"][0] is not None)

    assert exchange.update_leverage(5, "BTC")["status"] == "ok"
    mid = float(info.all_mids()["BTC"])
    low = round(mid * 0.95)

    cloid = Cloid.from_int(77)
    gtc = {"limit": {"tif": "Gtc"}}
    resting = status_of(exchange.order("BTC", True, 0.01, low, gtc, cloid=cloid))["resting"]
    assert resting["cloid"] == cloid.to_raw()
    (row,) = info.open_orders(address)
    assert (row["oid"], row["sz"], row["side"]) == (resting["oid"], "0.01", "B")

    modified = exchange.modify_order(row["oid"], "BTC", True, 0.02, low - 100, gtc, cloid=cloid)
    assert status_of(modified)["resting"]["oid"] > row["oid"]
    assert info.frontend_open_orders(address)[0]["origSz"] == "0.02"
    assert status_of(exchange.cancel_by_cloid("BTC", cloid)) == "success"
    assert info.query_order_by_cloid(address, cloid)["order"]["status"] == "canceled"

    alo = {"limit": {"tif": "Alo"}}
    oid = status_of(exchange.order("BTC", True, 0.01, low, alo))["resting"]["oid"]
    assert status_of(exchange.cancel("BTC", oid)) == "success"
    assert "never placed" in status_of(exchange.cancel("BTC", oid))["error"]

    opened = status_of(exchange.market_open("BTC", True, 0.01))["filled"]
    assert opened["totalSz"] == "0.01"
    state = info.user_state(address)
    assert state["assetPositions"][0]["position"]["szi"] == "0.01"
    assert state["assetPositions"][0]["position"]["leverage"] == {"type": "cross", "value": 5}
    heard.wait("userFills", lambda data: any(f["oid"] == opened["oid"] for f in data["fills"]))
    heard.wait(
        "orderUpdates",
        lambda data: any(
            u["status"] == "filled" and u["order"]["oid"] == opened["oid"] for u in data
        ),
    )

    closed = status_of(exchange.market_close("BTC"))["filled"]
    assert closed["totalSz"] == "0.01"
    assert info.user_state(address)["assetPositions"] == []
    fills = info.user_fills(address)
    assert [fill["dir"] for fill in fills] == ["Close Long", "Open Long"]
    assert venue.exchange.conservation_error_micro() == 0
    cash = venue.exchange.account_report(address.lower()).cash_micro
    paid = sum(round((float(f["closedPnl"]) - float(f["fee"])) * MICRO_PER_USDC) for f in fills)
    assert cash == 10_000 * MICRO_PER_USDC + paid


def test_sdk_approves_an_agent_that_trades(
    clients: tuple[Any, Any, str], venue: ServerThread
) -> None:
    from eth_account import Account
    from hyperliquid.exchange import Exchange

    info, exchange, address = clients
    answer, key = exchange.approve_agent("sdk agent")
    assert answer["status"] == "ok"
    agent = Exchange(Account.from_key(key), venue.url, account_address=address, timeout=20)
    mid = float(info.all_mids()["ETH"])
    limit = float(f"{mid * 0.9:.4g}")
    oid = status_of(agent.order("ETH", True, 0.1, limit, {"limit": {"tif": "Alo"}}))["resting"][
        "oid"
    ]
    assert info.query_order_by_oid(address, oid)["order"]["status"] == "open"
    assert status_of(agent.cancel("ETH", oid)) == "success"


def test_sdk_gets_the_venues_errors(venue: ServerThread) -> None:
    from eth_account import Account
    from hyperliquid.exchange import Exchange
    from hyperliquid.info import Info
    from hyperliquid.utils.error import ClientError

    stranger = Account.from_key("0x" + "44" * 32)
    exchange = Exchange(stranger, venue.url, timeout=20)
    answer = exchange.order("BTC", True, 0.01, 90_000, {"limit": {"tif": "Gtc"}})
    text = f"User or API Wallet {stranger.address.lower()} does not exist."
    assert answer == {"status": "err", "response": text}
    info = Info(venue.url, skip_ws=True, timeout=20)
    with pytest.raises(ClientError) as caught:
        info.post("/info", {"type": "unheard"})
    assert caught.value.status_code == 422


def test_sdk_reads_markets(clients: tuple[Any, Any, str]) -> None:
    info, _, address = clients
    assert info.meta()["universe"][0]["name"] == "BTC"
    assert len(info.meta_and_asset_ctxs()[1]) == len(info.meta()["universe"])
    assert info.spot_meta()["tokens"][0]["name"] == "USDC"
    now_ms = time.time_ns() // 1_000_000
    candles = info.candles_snapshot("BTC", "15m", now_ms - 4 * 3_600_000, now_ms)
    assert len(candles) in (16, 17)
    assert info.l2_snapshot("BTC")["levels"][0][0]["n"] == 1
    assert info.user_fees(address)["userCrossRate"] == "0.00045"
    assert info.funding_history("BTC", now_ms - 3_600_000) == []
