"""The official Python SDK's own example flows, unmodified, against the local exchange.

Each test is one flow as its package shows it: orders, TP/SL, leverage and isolated margin, spot,
transfers, agents, builders, sub-accounts, vaults, streams.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.types import Cloid

from tests.clients.venue import Venue, new_key

pytestmark = [pytest.mark.contract, pytest.mark.slow]

WAIT_SECONDS = 20.0
GTC = {"limit": {"tif": "Gtc"}}
ALO = {"limit": {"tif": "Alo"}}
STRANGER = "0x" + "7" * 40


class Trader:
    """One account with the SDK's two clients."""

    def __init__(
        self, venue: Venue, name: str, usd: float = 10_000, *, hears: bool = False
    ) -> None:
        key, self.address = new_key(name)
        venue.fund(self.address, usd)
        self.url = venue.url
        self.info = Info(venue.url, skip_ws=not hears, timeout=20)
        self.exchange = Exchange(Account.from_key(key), venue.url, timeout=20)

    def mid(self, coin: str) -> float:
        return float(self.info.all_mids()[coin])

    def position(self, coin: str) -> dict[str, Any]:
        rows = self.info.user_state(self.address)["assetPositions"]
        found: dict[str, Any] = next(r["position"] for r in rows if r["position"]["coin"] == coin)
        return found


class Heard:
    """What a websocket delivered, by channel."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Any]] = {}
        self._changed = threading.Condition()

    def __call__(self, message: Any) -> None:
        with self._changed:
            self._messages.setdefault(message["channel"], []).append(message["data"])
            self._changed.notify_all()

    def wait(self, channel: str) -> Any:
        """Return the first message of a channel."""
        with self._changed:
            came = self._changed.wait_for(lambda: channel in self._messages, WAIT_SECONDS)
            assert came, f"nothing came on {channel}; heard {sorted(self._messages)}"
            return self._messages[channel][0]


def statuses(answer: Any) -> list[Any]:
    assert answer["status"] == "ok", answer
    found: list[Any] = answer["response"]["data"]["statuses"]
    return found


def done(answer: Any) -> bool:
    assert answer == {"status": "ok", "response": {"type": "default"}}, answer
    return True


def test_orders_are_placed_queried_and_cancelled(venue: Venue) -> None:
    trader = Trader(venue, "sdk orders")
    low = float(round(trader.mid("ETH") * 0.9))
    ((status),) = statuses(trader.exchange.order("ETH", True, 0.2, low, GTC))
    oid = status["resting"]["oid"]
    assert trader.info.query_order_by_oid(trader.address, oid)["order"]["status"] == "open"
    assert statuses(trader.exchange.cancel("ETH", oid)) == ["success"]
    (again,) = statuses(trader.exchange.cancel("ETH", oid))
    assert "never placed, already canceled, or filled" in again["error"]


def test_a_batch_with_stop_and_target_hangs_together(venue: Venue) -> None:
    trader = Trader(venue, "sdk batch")
    mid = trader.mid("BTC")
    parent = {"coin": "BTC", "is_buy": True, "sz": 0.01, "limit_px": float(round(mid * 1.01))}
    child = {"coin": "BTC", "is_buy": False, "sz": 0.01, "reduce_only": True}
    stop_px, target_px = float(round(mid * 0.9)), float(round(mid * 1.1))
    requests = [
        {**parent, "order_type": {"limit": {"tif": "Ioc"}}, "reduce_only": False},
        {
            **child,
            "limit_px": float(round(mid * 0.85)),
            "order_type": {"trigger": {"isMarket": True, "triggerPx": stop_px, "tpsl": "sl"}},
        },
        {
            **child,
            "limit_px": target_px,
            "order_type": {"trigger": {"isMarket": False, "triggerPx": target_px, "tpsl": "tp"}},
        },
    ]
    answer = statuses(trader.exchange.bulk_orders(requests, grouping="normalTpsl"))
    assert answer[0]["filled"]["totalSz"] == "0.01"
    assert answer[1:] == ["waitingForTrigger", "waitingForTrigger"]
    rows = trader.info.frontend_open_orders(trader.address)
    assert sorted(row["orderType"] for row in rows) == ["Stop Market", "Take Profit Limit"]
    closed = statuses(trader.exchange.market_close("BTC"))
    assert closed[0]["filled"]["totalSz"] == "0.01"
    assert trader.info.open_orders(trader.address) == []
    gone = {row["status"] for row in trader.info.historical_orders(trader.address)}
    assert "reduceOnlyCanceled" in gone


def test_client_ids_modify_and_cancel(venue: Venue) -> None:
    trader = Trader(venue, "sdk cloid")
    low = float(round(trader.mid("BTC") * 0.9))
    cloid = Cloid.from_int(7)
    statuses(trader.exchange.order("BTC", True, 0.01, low, ALO, cloid=cloid))
    moved = trader.exchange.modify_order(cloid, "BTC", True, 0.02, low - 10, ALO, cloid=cloid)
    assert "resting" in statuses(moved)[0]
    found = trader.info.query_order_by_cloid(trader.address, cloid)
    assert found["order"]["order"]["origSz"] == "0.02"
    assert statuses(trader.exchange.cancel_by_cloid("BTC", cloid)) == ["success"]


def test_leverage_and_isolated_margin(venue: Venue) -> None:
    trader = Trader(venue, "sdk isolated")
    assert done(trader.exchange.update_leverage(10, "ETH", is_cross=False))
    statuses(trader.exchange.market_open("ETH", True, 0.5))
    before = float(trader.position("ETH")["marginUsed"])
    assert done(trader.exchange.update_isolated_margin(100.0, "ETH"))
    after = trader.position("ETH")
    assert 99 < float(after["marginUsed"]) - before < 101
    assert after["leverage"]["type"] == "isolated" and after["liquidationPx"] is not None
    refused = trader.exchange.update_leverage(10, "ETH", is_cross=True)
    assert refused["response"] == "Cannot switch leverage type with open position."
    statuses(trader.exchange.market_close("ETH"))


def test_spot_is_bought_and_sold(venue: Venue) -> None:
    trader = Trader(venue, "sdk spot")
    assert done(trader.exchange.usd_class_transfer(1_000.0, False))
    (bought,) = statuses(trader.exchange.market_open("UBTC/USDC", True, 0.001))
    assert bought["filled"]["totalSz"] == "0.001"
    balances = {r["coin"]: r for r in trader.info.spot_user_state(trader.address)["balances"]}
    assert 0.00099 < float(balances["UBTC"]["total"]) < 0.001
    fill = trader.info.user_fills(trader.address)[0]
    assert (fill["dir"], fill["feeToken"], fill["startPosition"]) == ("Buy", "UBTC", "0.0")
    price = float(round(trader.mid(fill["coin"]) * 1.1))
    (resting,) = statuses(trader.exchange.order("UBTC/USDC", False, 0.0005, price, GTC))
    held = {r["coin"]: r for r in trader.info.spot_user_state(trader.address)["balances"]}
    assert held["UBTC"]["hold"] == "0.0005"
    assert statuses(trader.exchange.cancel("UBTC/USDC", resting["resting"]["oid"])) == ["success"]


def test_money_moves_between_accounts(venue: Venue) -> None:
    trader = Trader(venue, "sdk transfers")
    assert done(trader.exchange.usd_transfer(25.0, STRANGER))
    assert trader.info.user_role(STRANGER)["role"] == "user"
    assert done(trader.exchange.usd_class_transfer(100.0, False))
    usdc = trader.info.spot_meta()["tokens"][0]
    assert done(trader.exchange.spot_transfer(10.0, STRANGER, f"USDC:{usdc['tokenId']}"))
    assert done(trader.exchange.withdraw_from_bridge(50.0, trader.address))
    rows = trader.info.user_non_funding_ledger_updates(trader.address, 0)
    kinds = [row["delta"]["type"] for row in rows]
    assert kinds[:1] == ["deposit"] and {"accountClassTransfer", "withdraw"} <= set(kinds)


def test_an_agent_trades_for_its_master(venue: Venue) -> None:
    trader = Trader(venue, "sdk master")
    answer, key = trader.exchange.approve_agent("desk")
    assert done(answer)
    agent = Exchange(Account.from_key(key), venue.url, account_address=trader.address, timeout=20)
    low = float(round(trader.mid("BTC") * 0.9))
    (status,) = statuses(agent.order("BTC", True, 0.01, low, ALO))
    assert statuses(agent.cancel("BTC", status["resting"]["oid"])) == ["success"]
    refused = agent.usd_transfer(1.0, STRANGER)
    assert refused["response"].startswith("Must deposit before performing actions. User: 0x")
    assert trader.info.extra_agents(trader.address)[0]["name"] == "desk"


def test_a_builder_earns_its_fee(venue: Venue) -> None:
    trader, builder = Trader(venue, "sdk user"), Trader(venue, "sdk builder")
    code = {"b": builder.address, "f": 10}
    refused = trader.exchange.market_open("BTC", True, 0.01, builder=code)
    assert "Builder fee has not been approved" in str(refused)
    assert done(trader.exchange.approve_builder_fee(builder.address, "0.01%"))
    (status,) = statuses(trader.exchange.market_open("BTC", True, 0.01, builder=code))
    fill = trader.info.user_fills(trader.address)[0]
    worth = float(status["filled"]["avgPx"]) * 0.01
    assert float(fill["builderFee"]) == pytest.approx(worth * 0.0001, abs=2e-6)
    assert float(fill["fee"]) > float(fill["builderFee"])
    statuses(trader.exchange.market_close("BTC"))


def test_sub_accounts_referrers_and_switches_have_their_gates(venue: Venue) -> None:
    trader = Trader(venue, "sdk small")
    small = trader.exchange.create_sub_account("wing")
    assert small["response"].startswith("Cannot create sub-accounts until enough volume traded.")
    assert trader.exchange.set_referrer("NOBODY")["response"] == "Referral code not registered"
    switch = trader.exchange.schedule_cancel(None)
    assert switch["response"].startswith("Cannot set scheduled cancel time until enough volume")


def test_a_sub_account_trades_with_what_it_was_given(venue: Venue) -> None:
    trader = Trader(venue, "sdk grown", usd=200_000)
    for _ in range(2):
        statuses(trader.exchange.market_open("BTC", True, 0.4))
        statuses(trader.exchange.market_close("BTC"))
    answer = trader.exchange.create_sub_account("wing")
    assert answer["status"] == "ok", answer
    wing = answer["response"]["data"]
    assert done(trader.exchange.sub_account_transfer(wing, True, 1_000_000_000))
    key, _ = new_key("sdk grown")
    desk = Exchange(Account.from_key(key), venue.url, vault_address=wing, timeout=20)
    (status,) = statuses(desk.market_open("ETH", True, 0.1))
    assert status["filled"]["totalSz"] == "0.1"
    (row,) = trader.info.query_sub_accounts(trader.address)
    assert (row["name"], row["subAccountUser"]) == ("wing", wing)
    positions = row["clearinghouseState"]["assetPositions"]
    assert positions[0]["position"]["szi"] == "0.1"


def test_expired_actions_and_burnt_nonces(venue: Venue) -> None:
    trader = Trader(venue, "sdk expiry")
    trader.exchange.set_expires_after(1)
    low = float(round(trader.mid("BTC") * 0.9))
    answer = trader.exchange.order("BTC", True, 0.01, low, GTC)
    assert answer == {"status": "err", "response": "Action already expired"}
    trader.exchange.set_expires_after(None)
    nonce = 1_000
    assert "too low" in trader.exchange.noop(nonce)["response"]


def test_every_stream_of_the_sdk_speaks(venue: Venue) -> None:
    trader = Trader(venue, "sdk streams", hears=True)
    heard = Heard()
    user = {"user": trader.address}
    wishes: list[dict[str, Any]] = [
        {"type": "allMids"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
        {"type": "bbo", "coin": "BTC"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
        {"type": "activeAssetCtx", "coin": "BTC"},
        {"type": "activeAssetData", "coin": "BTC", **user},
        {"type": "userEvents", **user},
        {"type": "userFills", **user},
        {"type": "orderUpdates", **user},
        {"type": "userFundings", **user},
        {"type": "userNonFundingLedgerUpdates", **user},
        {"type": "webData2", **user},
    ]
    for wish in wishes:
        trader.info.subscribe(wish, heard)  # type: ignore[arg-type]
    heard.wait("userFills")
    statuses(trader.exchange.market_open("BTC", True, 0.01))
    silent_until_an_hour_turns = {"userEvents"}
    for wish in wishes:
        if wish["type"] not in silent_until_an_hour_turns:
            heard.wait(wish["type"])
    assert "fills" in heard.wait("user")
    trader.info.disconnect_websocket()


def test_the_reads_of_the_sdk_are_answered(venue: Venue) -> None:
    trader = Trader(venue, "sdk reads")
    info, address = trader.info, trader.address
    assert len(info.meta_and_asset_ctxs()[1]) == len(info.meta()["universe"])
    universe, contexts = info.spot_meta_and_asset_ctxs()
    assert {row["coin"] for row in contexts} >= {row["name"] for row in universe["universe"]}
    assert info.user_rate_limit(address)["nRequestsCap"] == 10_000
    assert info.user_fees(address)["userCrossRate"] == "0.00045"
    assert [name for name, _ in info.portfolio(address)][:4] == ["day", "week", "month", "allTime"]
    assert info.user_twap_slice_fills(address) == []
    assert info.user_vault_equities(address) == []
    assert info.query_user_to_multi_sig_signers(address) is None
    assert info.query_user_abstraction_state(address) == "disabled"
    assert info.user_staking_delegations(address) == []
    assert info.perp_dexs()[0] is None
