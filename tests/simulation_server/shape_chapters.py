"""Stories that end where a recording of the real venue does: the same query, action or stream.

One chapter a recording, by its name; each is told on a fresh venue and returns what ours says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.simulation.venue.settings import VenueSettings
from tests.simulation_server.shape_story import (
    AGENTS,
    CLOID,
    NOBODY,
    OTHER,
    SPOT,
    SPOT_ASSET,
    USER,
    Story,
    agent_fields,
    stop,
)
from tests.simulation_server.venue import AGENT, STRANGER

ZERO = "0x" + "0" * 40
USDC = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"
OPEN_GATES = VenueSettings(sub_account_volume_micro=0)

Chapter = Callable[[Story], Any]


def funded() -> Story:
    """A venue with one account of 10,000 USDC and no volume gates."""
    story = Story(OPEN_GATES)
    story.fund(USER, 10_000)
    return story


def oid_of(answer: Any) -> int:
    return int(answer["response"]["data"]["statuses"][0]["resting"]["oid"])


# --- accounts -----------------------------------------------------------------------------------


def positions(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    story.place("2070", "0.5", asset=1, is_buy=False, tif="Ioc")
    story.pass_hour()
    return story.ask("clearinghouseState", user=USER)


def isolated_position(story: Story) -> Any:
    asset = story.source.of("HYPE").asset
    story.act({"type": "updateLeverage", "asset": asset, "isCross": False, "leverage": 10})
    story.place("35.5", "2", asset=asset, tif="Ioc")
    return story.ask("clearinghouseState", user=USER)


def tokens(story: Story) -> Any:
    story.act_as_user("usdClassTransfer", amount="1000", toPerp=False)
    story.place("35.5", "5", asset=SPOT_ASSET, tif="Ioc")
    story.place("40", "2", asset=SPOT_ASSET, is_buy=False)
    return story.ask("spotClearinghouseState", user=USER)


def sub_account(story: Story) -> str:
    answer = story.act({"type": "createSubAccount", "name": "Test"})
    return str(answer["response"]["data"])


def sub_accounts(story: Story) -> Any:
    sub = sub_account(story)
    story.act(
        {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True, "usd": 20_000_000}
    )
    story.act_as_user("usdClassTransfer", amount="100", toPerp=False)
    story.act_as_user("spotSend", destination=sub, token=USDC, amount="5")
    return story.ask("subAccounts", user=USER)


def portfolio(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    story.pass_hour()
    story.pass_hour()
    return story.ask("portfolio", user=USER)


def agents(story: Story) -> Any:
    for n in range(3):
        story.act_as_user("approveAgent", **agent_fields(AGENTS[n], f"n{n}"))
    return story.ask("extraAgents", user=USER)


def agent_role(story: Story) -> Any:
    story.act_as_user("approveAgent", **agent_fields(AGENT))
    return story.ask("userRole", user=AGENT.address)


# --- orders and fills ---------------------------------------------------------------------------


def market_order(story: Story) -> Any:
    story.place("2100", "0.1", asset=1, tif="FrontendMarket")
    fill = story.ask("userFills", user=USER)[0]
    return story.ask("orderStatus", user=USER, oid=fill["oid"])


def some_orders(story: Story, kind: str) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    story.place("99000", "0.01", c=CLOID)
    story.tick("BTC")
    story.place("98000", "0.01")
    story.place("0", "0", **stop("101000", "90000", "tp"))
    return story.ask(kind, user=USER)


def tpsl_orders(story: Story) -> Any:
    parent = {"a": 0, "b": True, "p": "99000", "s": "0.001", "r": False}
    parent |= {"t": {"limit": {"tif": "Gtc"}}}
    children = [stop("110000", "109000", "tp"), stop("95000", "90000", "sl")]
    action = {"type": "order", "orders": [parent, *children], "grouping": "normalTpsl"}
    story.act(action)
    story.place("100100", "0.002", tif="Ioc")
    story.place("0", "0", grouping="positionTpsl", **stop("96000", "90000", "sl", "0"))
    return story.ask("frontendOpenOrders", user=USER)


def reduce_only_order(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    story.place("101000", "0.01", is_buy=False, r=True)
    return story.ask("openOrders", user=USER)


def history(story: Story) -> Any:
    story.place("99000", "0.01", tif="Ioc")
    story.tick("BTC")
    story.place("98000", "0.01", tif="Ioc")
    return story.ask("historicalOrders", user=USER)


def round_trips(story: Story) -> None:
    for px, is_buy in (("100100", True), ("99900", False), ("99900", False)):
        story.place(px, "0.01", is_buy=is_buy, tif="Ioc")
        story.tick("BTC")


def spot_round_trip(story: Story) -> None:
    story.act_as_user("usdClassTransfer", amount="1000", toPerp=False)
    story.place("35.5", "5", asset=SPOT_ASSET, tif="Ioc")
    story.tick(SPOT)
    story.place("34", "2", asset=SPOT_ASSET, is_buy=False, tif="Ioc")


def fills(story: Story, kind: str, **fields: Any) -> Any:
    round_trips(story)
    spot_round_trip(story)
    return story.ask(kind, user=USER, **fields)


def funding(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    story.pass_hour()
    story.pass_hour()
    return story.ask("userFunding", user=USER, startTime=0)


def funding_history(story: Story) -> Any:
    story.pass_hour()
    story.pass_hour()
    return story.ask("fundingHistory", coin="BTC", startTime=0)


def ledger(story: Story) -> Any:
    story.tick("BTC")
    story.act_as_user("usdClassTransfer", amount="500", toPerp=False)
    story.tick("BTC")
    story.act_as_user("usdClassTransfer", amount="12", toPerp=True)
    story.act_as_user("spotSend", destination=OTHER.address, token=USDC, amount="10.5")
    story.act_as_user("withdraw3", destination=USER, amount="20")
    story.act_as_user("usdSend", destination=OTHER.address, amount="1.5")
    return story.ask("userNonFundingLedgerUpdates", user=USER, startTime=0)


# --- actions ------------------------------------------------------------------------------------


def cancel(story: Story) -> Any:
    oid = oid_of(story.place("99000", "0.01"))
    return story.act({"type": "cancel", "cancels": [{"a": 0, "o": oid}]})


def cancel_by_cloid(story: Story) -> Any:
    story.place("99000", "0.01", c=CLOID)
    return story.act({"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]})


def modify_dead(story: Story) -> Any:
    oid = oid_of(story.place("99000", "0.01"))
    story.act({"type": "cancel", "cancels": [{"a": 0, "o": oid}]})
    wire = {"a": 0, "b": True, "p": "98000", "s": "0.01", "r": False}
    wire |= {"t": {"limit": {"tif": "Gtc"}}}
    return story.act({"type": "modify", "oid": oid, "order": wire})


def by_replaced_agent(story: Story) -> Any:
    first, second = AGENTS[:2]
    for agent in (first, second):
        story.act_as_user("approveAgent", **agent_fields(agent))
    action = {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5}
    return story.act(action, first)


def fourth_agent(story: Story) -> Any:
    for n in range(3):
        story.act_as_user("approveAgent", **agent_fields(AGENTS[n], f"n{n}"))
    return story.act_as_user("approveAgent", **agent_fields(AGENTS[3], "n3"))


def revoke_agent(story: Story) -> Any:
    story.act_as_user("approveAgent", **agent_fields(AGENTS[0], "shield-probe"))
    return story.act_as_user("approveAgent", agentAddress=ZERO, agentName="shield-probe")


def send_by_agent(story: Story) -> Any:
    story.act_as_user("approveAgent", **agent_fields(AGENT))
    fields = {"destination": OTHER.address, "amount": "1"}
    return story.act_as_user("usdSend", AGENT, **fields)


def agent_sends_asset(story: Story) -> Any:
    story.act_as_user("approveAgent", **agent_fields(AGENT))
    nonce = story.next_nonce()
    action = {"type": "agentSendAsset", "destination": USER, "sourceDex": "", "token": USDC}
    action |= {"destinationDex": "spot", "amount": "1", "fromSubAccount": "", "nonce": nonce}
    return story.act(action, AGENT, nonce=nonce)


def capped(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    return story.place("99000", "0.02", is_buy=False, tif="Ioc", r=True)


def position_stop(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    return story.place("0", "0", grouping="positionTpsl", **stop("96000", "90000", "sl", "0.01"))


def spot_order(story: Story) -> Any:
    story.act_as_user("usdClassTransfer", amount="1000", toPerp=False)
    return story.place("35.5", "0.5", asset=SPOT_ASSET, tif="Ioc")


def leverage_switch(story: Story) -> Any:
    story.place("100100", "0.01", tif="Ioc")
    return story.act({"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 40})


def reduce_only_twap(story: Story) -> Any:
    twap = {"a": 0, "b": True, "s": "0.1", "r": True, "m": 30, "t": False}
    return story.act({"type": "twapOrder", "twap": twap})


def to_unknown_vault(story: Story) -> Any:
    action = {"type": "vaultTransfer", "vaultAddress": NOBODY, "isDeposit": True, "usd": 1_000_000}
    return story.act(action)


# --- streams ------------------------------------------------------------------------------------


def told(listener: Any, channel: str) -> list[Any]:
    """Data of all messages of a channel."""
    return [m["data"] for m in listener.messages if m["channel"] == channel]


def stream(kind: str, happens: Chapter, channel: str = "", **fields: Any) -> Chapter:
    """A chapter that listens, lets something happen and returns what was told."""

    def chapter(story: Story) -> Any:
        listener = story.listen(kind, **fields)
        happens(story)
        return told(listener, channel or kind)

    return chapter


def liquidation(story: Story) -> None:
    """Somebody long is sold out into a resting bid."""
    story.fund(OTHER.address, 270)
    story.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40}, OTHER)
    story.place("100100", "0.1", tif="Ioc", signer=OTHER)
    story.place("98500", "0.1", c=CLOID)
    story.tick("BTC", "98400", "98501")


def snapshot_of_fills(story: Story) -> Any:
    round_trips(story)
    spot_round_trip(story)
    return told(story.listen("userFills", user=USER), "userFills")


def two_ticks(coin: str) -> Chapter:
    def chapter(story: Story) -> None:
        story.tick(coin)
        for _ in range(6):
            story.tick(coin)

    return chapter


INFO: dict[str, Chapter] = {
    "gohl-clearinghouseState-empty": lambda s: s.ask("clearinghouseState", user=NOBODY, dex="xyz"),
    "gohl-meta-2025-08": lambda s: s.ask("meta"),
    "gohl-metaAndAssetCtxs-2026-02": lambda s: s.ask("metaAndAssetCtxs", dex=""),
    "gohl-orderStatus-filled-FrontendMarket": market_order,
    "gohl-orderStatus-unknownOid": lambda s: s.ask("orderStatus", user=USER, oid=1),
    "gohl-perpDexs-2025-12": lambda s: s.ask("perpDexs"),
    "gohl-spotClearinghouseState": tokens,
    "gohl-spotMeta-2025-08": lambda s: s.ask("spotMeta"),
    "gohl-spotMetaAndAssetCtxs-2025-08": lambda s: s.ask("spotMetaAndAssetCtxs"),
    "gohl-userFillsByTime-two": lambda s: fills(s, "userFillsByTime", startTime=0),
    "jkorf-candleSnapshot-spot-107": lambda s: candles(s, SPOT, "1m"),
    "jkorf-clearinghouseState-isolated-HYPE": isolated_position,
    "jkorf-frontendOpenOrders-limit": lambda s: some_orders(s, "frontendOpenOrders"),
    "jkorf-l2Book-spot-107": lambda s: s.ask("l2Book", coin=SPOT),
    "jkorf-spotClearinghouseState-HYPE": tokens,
    "jkorf-subAccounts": sub_accounts,
    "jkorf-userNonFundingLedgerUpdates-classTransfer": ledger,
    "nautilus-userFills-dust-conversion": lambda s: fills(s, "userFills"),
    "pysdk-allMids-2023": lambda s: s.ask("allMids"),
    "pysdk-candleSnapshot-kPEPE-1h": lambda s: candles(s, "BTC", "1h"),
    "pysdk-clearinghouseState-2023-many-positions": positions,
    "pysdk-frontendOpenOrders-tpsl": tpsl_orders,
    "pysdk-fundingHistory-BTC-with-end": funding_history,
    "pysdk-historicalOrders-iocCancelRejected": history,
    "pysdk-l2Book-DYDX": lambda s: s.ask("l2Book", coin="BTC"),
    "pysdk-meta-2023": lambda s: s.ask("meta"),
    "pysdk-openOrders-many": lambda s: some_orders(s, "openOrders"),
    "pysdk-portfolio-vault": portfolio,
    "pysdk-userFills-500": lambda s: fills(s, "userFills"),
    "pysdk-userFunding-with-end": funding,
    "pysdk-userNonFundingLedgerUpdates": ledger,
    "pysdk-userRateLimit": lambda s: s.ask("userRateLimit", user=USER),
    "roq-clearinghouseState-cross-2026-02": positions,
    "testnet-extraAgents": agents,
    "testnet-openOrders-reduceOnly-flag": reduce_only_order,
    "testnet-userRole-agent": agent_role,
}
ACTIONS: dict[str, Chapter] = {
    "gohl-cancel-success": cancel,
    "gohl-cancel-unknown-error": lambda s: s.act(
        {"type": "cancel", "cancels": [{"a": 173, "o": 1}]}
    ),
    "gohl-cancelByCloid-success": cancel_by_cloid,
    "gohl-order-min-value-error": lambda s: s.place("99000", "0.0001"),
    "gohl-order-resting": lambda s: s.place("99000", "0.01"),
    "gohl-order-resting-cloid": lambda s: s.place("99000", "0.01", c=CLOID),
    "gohl-order-unknown-signer": lambda s: s.place("99000", "0.01", signer=STRANGER),
    "jkorf-updateLeverage-ok": lambda s: s.act(
        {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5}
    ),
    "roq-order-filled-cloid": lambda s: s.place("100100", "0.01", tif="Ioc", c=CLOID),
    "testnet-action-by-replaced-agent-error": by_replaced_agent,
    "testnet-approveAgent-too-many-error": fourth_agent,
    "testnet-evmUserModify-ok": lambda s: s.act({"type": "evmUserModify", "usingBigBlocks": False}),
    "testnet-modify-dead-order-error": modify_dead,
    "testnet-order-filled": lambda s: s.place("100100", "0.01", tif="Ioc"),
    "testnet-order-position-tpsl-waiting": position_stop,
    "testnet-order-reduce-only-capped": capped,
    "testnet-order-spot-filled": spot_order,
    "testnet-scheduleCancel-volume-gate-error": lambda s: s.act({"type": "scheduleCancel"}),
    "testnet-signed-agent-send-asset-perp-to-spot": agent_sends_asset,
    "testnet-signed-approve-agent-revoke": revoke_agent,
    "testnet-signed-order-expired": lambda s: s.place("99000", "0.01", expires_after=1),
    "testnet-signed-order-reduce-only-rejected": lambda s: s.place(
        "99000", "0.01", is_buy=False, tif="Ioc", r=True
    ),
    "testnet-signed-usd-send-by-agent": send_by_agent,
    "testnet-twapOrder-reduce-only-error": reduce_only_twap,
    "testnet-updateLeverage-switch-with-position-error": leverage_switch,
    "testnet-vaultTransfer-unknown-vault-error": to_unknown_vault,
}
STREAMS: dict[str, Chapter] = {
    "jkorf-ws-allMids": stream("allMids", two_ticks("BTC")),
    "jkorf-ws-candle": stream("candle", two_ticks("BTC"), coin="BTC", interval="1d"),
    "jkorf-ws-l2Book": stream("l2Book", two_ticks("BTC"), coin="BTC"),
    "jkorf-ws-trades": stream("trades", round_trips, coin="BTC"),
    "jkorf-ws-userEvents-fill": stream("userEvents", spot_round_trip, "user", user=USER),
    "nautilus-ws-allDexsAssetCtxs": stream("allDexsAssetCtxs", two_ticks("BTC")),
    "nautilus-ws-user-fill-liquidation": stream("userEvents", liquidation, "user", user=USER),
    "roq-ws-orderUpdates-minTradeNtlRejected": stream(
        "orderUpdates", lambda s: s.place("99000", "0.0001", c=CLOID), user=USER
    ),
    "roq-ws-orderUpdates-open": stream(
        "orderUpdates", lambda s: s.place("99000", "0.01", c=CLOID), user=USER
    ),
    "roq-ws-orderUpdates-open-then-filled": stream(
        "orderUpdates", lambda s: s.place("100100", "0.01", c=CLOID), user=USER
    ),
    "roq-ws-user-fill-close": stream("userEvents", round_trips, "user", user=USER),
    "roq-ws-user-funding": stream("userEvents", funding, "user", user=USER),
    "roq-ws-userFills-snapshot": snapshot_of_fills,
}
SOCKETS = {
    "roq-ws-error-bad-json-shape": '{"method":"subscribe","xsubscription":{"type":"bbo"}}',
    "roq-ws-post-action-error": "",
}
"""Recordings of the socket itself, with what the client sends."""


def candles(story: Story, coin: str, interval: str) -> Any:
    story.tick(coin)
    start = story.now_ns // 1_000_000 - 7_200_000
    request = {"coin": coin, "interval": interval, "startTime": start}
    return story.ask("candleSnapshot", req=request)
