"""What an account holds and is: state, role, agents, mode, value over time. Source: 10.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.simulation.market.builder_dexes import builder_dex_of
from core.simulation.venue.equity import Sample
from core.simulation.wire.channels.base import ChannelContext, ChannelSettings
from core.simulation.wire.channels.webdata import WebData2
from core.simulation.wire.queries.base import Desk, Handler, Query, address, dex, text
from core.simulation.wire.queries.builder_dexs import meta_of
from core.simulation.wire.rows import account_row, active_asset_row, agent_row
from core.simulation.wire.text import ms, usd_text

_NOBODY = ""


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    exchange, board = desk.exchange, desk.board

    def clearinghouse(query: Query, now_ns: int) -> Any:
        name = dex(query)
        meta_of(name)
        user = address(query) if not name else _NOBODY
        return account_row(exchange.account_summary(user), board.instruments, now_ns)

    def active_asset(query: Query, now_ns: int) -> Any:
        user, listed = address(query), builder_dex_of(text(query, "coin"))
        if listed is not None:
            return _untradable_row(user, listed.market(text(query, "coin")))
        coin = desk.perp(query)
        active = exchange.active_asset(user, coin)
        return active_asset_row(active, user=user, instrument=desk.instrument(coin))

    def role(query: Query, now_ns: int) -> Any:
        found = exchange.user_role(address(query))
        row: dict[str, Any] = {"role": found.role}
        if found.master:
            name = "master" if found.role == "subAccount" else "user"
            row["data"] = {name: found.master}
        return row

    def agents(query: Query, now_ns: int) -> Any:
        return [agent_row(agent) for agent in exchange.agents(address(query))]

    def portfolio(query: Query, now_ns: int) -> Any:
        return portfolio_rows(desk, address(query))

    def web_data(query: Query, now_ns: int) -> Any:
        user = address(query)
        context = ChannelContext(board, exchange, ChannelSettings())
        return WebData2(context, (WebData2.kind, user)).row()

    def constant(value: Any) -> Handler:
        def answer(query: Query, now_ns: int) -> Any:
            address(query)
            return value

        return answer

    legal = {"acceptedTerms": True, "userAllowed": True, "restrictions": "n"}
    return {
        "clearinghouseState": clearinghouse,
        "activeAssetData": active_asset,
        "userRole": role,
        "extraAgents": agents,
        "portfolio": portfolio,
        "preTransferCheck": lambda query, now_ns: _transfer_check(desk, query),
        "userAbstraction": constant("disabled"),
        "userDexAbstraction": constant(False),
        "userToMultiSigSigners": lambda query, now_ns: _signers(desk, address(query)),
        "legalCheck": constant(legal),
        "isVip": constant(False),
        "webData2": web_data,
    }


def _transfer_check(desk: Desk, query: Query) -> Any:
    """Return what a transfer to an address would meet; whom it comes from makes no difference."""
    user, _ = address(query), address(query, "source")
    is_known = desk.exchange.has_account(user)
    fee = 0 if is_known else desk.exchange.settings.activation_fee_micro
    return {
        "fee": usd_text(fee),
        "isSanctioned": False,
        "userExists": is_known,
        "userHasSentTx": desk.exchange.rate_budget(user).requests_used > 0,
    }


def _signers(desk: Desk, user: str) -> Any:
    """Return whose keys act for an account of several keys, ``null`` for any other."""
    policy = desk.exchange.multi_sig.policy(user)
    if policy is None:
        return None
    return {"authorizedUsers": list(policy.authorized), "threshold": policy.threshold}


def _untradable_row(user: str, market: dict[str, Any]) -> Any:
    """Return ``activeAssetData`` of a builder's coin, as documented for one without money."""
    return {
        "user": user,
        "coin": market["name"],
        "leverage": {"type": "isolated", "value": market["maxLeverage"], "rawUsd": "0.0"},
        "maxTradeSzs": ["0.0", "0.0"],
        "availableToTrade": ["0.0", "0.0"],
        "markPx": "0.0",
    }


def portfolio_rows(desk: Desk, user: str) -> list[Any]:
    """Return value, profit and volume of an account over the venue's eight spans."""
    return [[name, _span_row(samples)] for name, samples in desk.exchange.equity.spans(user)]


def _span_row(samples: Sequence[Sample]) -> Any:
    """Return one span; profit and volume count from its start."""
    if not samples:
        return {"accountValueHistory": [], "pnlHistory": [], "vlm": "0.0"}
    first, last = samples[0], samples[-1]
    return {
        "accountValueHistory": [[ms(s.ts_ns), usd_text(s.value_micro)] for s in samples],
        "pnlHistory": [[ms(s.ts_ns), usd_text(s.pnl_micro - first.pnl_micro)] for s in samples],
        "vlm": usd_text(last.volume_micro - first.volume_micro),
    }
