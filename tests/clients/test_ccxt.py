"""ccxt's Hyperliquid class, unmodified, against the local exchange: only its address is set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.venue import Venue, new_key

ccxt = pytest.importorskip("ccxt", reason="ccxt comes with the development packages")

pytestmark = [pytest.mark.contract, pytest.mark.slow]

PERP = "BTC/USDC:USDC"
SPOT = "BTC/USDC"


@pytest.fixture(scope="module")
def client(venue: Venue) -> Any:
    key, address = new_key("ccxt")
    venue.fund(address, 10_000)
    client = ccxt.hyperliquid({"walletAddress": address, "privateKey": key})
    client.set_sandbox_mode(True)
    client.urls["api"] = {"public": venue.url, "private": venue.url}
    client.load_markets()
    return client


@pytest.fixture(scope="module")
def price(client: Any) -> float:
    return float(client.fetch_ticker(PERP)["last"])


def test_ccxt_reads_markets(client: Any) -> None:
    market = client.market(PERP)
    assert (market["precision"]["amount"], market["limits"]["cost"]["min"]) == (1e-05, 10.0)
    assert client.market(SPOT)["spot"]
    book = client.fetch_order_book(PERP, 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    bars = client.fetch_ohlcv(PERP, "5m", limit=5)
    assert [bar[0] - bars[0][0] for bar in bars] == [300_000 * i for i in range(5)]
    assert client.fetch_funding_rates([PERP])[PERP]["fundingRate"] is not None
    assert client.fetch_open_interest(PERP)["openInterestAmount"] >= 0
    assert client.fetch_status()["status"] == "ok"


def test_ccxt_places_edits_and_cancels(client: Any, price: float) -> None:
    assert client.set_leverage(5, PERP)["status"] == "ok"
    placed = client.create_order(PERP, "limit", "buy", 0.01, round(price * 0.95))
    assert client.fetch_order(placed["id"], PERP)["status"] == "open"
    client.edit_order(placed["id"], PERP, "limit", "buy", 0.02, round(price * 0.94))
    (order,) = client.fetch_open_orders(PERP)
    assert (order["amount"], order["side"]) == (0.02, "buy")
    client.cancel_order(order["id"], PERP)
    assert client.fetch_open_orders(PERP) == []
    assert client.fetch_order(order["id"], PERP)["status"] == "canceled"


def test_ccxt_trades_a_perpetual(client: Any, price: float) -> None:
    client.create_order(PERP, "market", "buy", 0.01, price)
    (position,) = client.fetch_positions([PERP])
    assert (position["contracts"], position["side"], position["leverage"]) == (0.01, "long", 5.0)
    stop = {"stopLossPrice": round(price * 0.9), "reduceOnly": True}
    client.create_order(PERP, "market", "sell", 0.01, price, stop)
    batch = [
        {"symbol": PERP, "type": "limit", "side": "buy", "amount": 0.01, "price": round(p)}
        for p in (price * 0.9, price * 0.91)
    ]
    client.create_orders(batch)
    orders = client.fetch_open_orders(PERP)
    assert sorted(order["reduceOnly"] for order in orders) == [False, False, True]
    client.cancel_orders([order["id"] for order in orders], PERP)
    client.create_order(PERP, "market", "sell", 0.01, price, {"reduceOnly": True})
    assert client.fetch_positions([PERP]) == []
    trades = client.fetch_my_trades(PERP)
    assert [trade["side"] for trade in trades] == ["buy", "sell"]
    assert all(trade["fee"]["currency"] == "USDC" for trade in trades)


def test_ccxt_trades_spot(client: Any) -> None:
    client.transfer("USDC", 500, "swap", "spot")
    price = float(client.fetch_ticker(SPOT)["last"])
    client.create_order(SPOT, "market", "buy", 0.001, price)
    balance = client.fetch_balance({"type": "spot"})
    assert 0.00099 < balance["BTC"]["total"] < 0.001
    assert balance["USDC"]["total"] < 500
    assert client.fetch_my_trades(SPOT)[-1]["fee"]["currency"] == "UBTC"


def test_ccxt_reads_the_account(client: Any) -> None:
    assert client.fetch_balance()["USDC"]["total"] > 9_000
    kinds = [entry["info"]["delta"]["type"] for entry in client.fetch_ledger()]
    assert kinds[0] == "deposit" and "accountClassTransfer" in kinds
    assert client.fetch_deposits()[0]["amount"] == 10_000
    assert client.fetch_funding_history(PERP) == []
    assert client.fetch_trading_fee(PERP)["taker"] == 0.00045


def test_ccxt_gets_the_venues_errors(client: Any, price: float) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="minimum value"):
        client.create_order(PERP, "limit", "buy", 0.00001, round(price * 0.95))
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(PERP, "limit", "buy", 100, round(price * 0.95))
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order("1", PERP)
    with pytest.raises(ccxt.BaseError, match="enough volume traded"):
        client.cancel_all_orders_after(60_000)
