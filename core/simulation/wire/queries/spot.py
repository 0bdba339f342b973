"""Spot markets and balances. Source: reference sections 10.2 and 10.3."""

from __future__ import annotations

from typing import Any

from core.model.instrument import decimal_text
from core.simulation.market.universe import recorded_spot_meta
from core.simulation.wire.queries.base import Desk, Handler, Query, address, text
from core.simulation.wire.requests import RequestError
from core.simulation.wire.rows import spot_balance_row
from core.simulation.wire.text import with_point


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    return {
        "spotMeta": lambda query, now_ns: spot_meta(desk),
        "spotMetaAndAssetCtxs": lambda query, now_ns: [spot_meta(desk), desk.board.spot_contexts()],
        "spotClearinghouseState": lambda query, now_ns: balances(desk, address(query)),
        "tokenDetails": lambda query, now_ns: _token_details(desk, query),
    }


def spot_meta(desk: Desk) -> Any:
    """Return pairs and tokens; only pairs that this venue lists, as the recording has them."""
    recorded = recorded_spot_meta()
    listed = desk.exchange.spot.pairs
    universe = [row for row in recorded["universe"] if row["name"] in listed]
    return {"universe": universe, "tokens": recorded["tokens"]}


def balances(desk: Desk, user: str) -> Any:
    """Return what an account holds."""
    tokens = {token.index: token for token in desk.exchange.spot.tokens}
    rows = desk.exchange.spot.balances(user)
    return {"balances": [spot_balance_row(row, tokens[row.token]) for row in rows]}


def _token_details(desk: Desk, query: Query) -> Any:
    """Answer with a token; supply is what the venue's accounts hold."""
    token_id = text(query, "tokenId").lower()
    for token in desk.exchange.spot.tokens:
        if token.token_id == token_id:
            break
    else:
        raise RequestError(f"unknown token `{token_id}`")
    supply = with_point(
        decimal_text(desk.exchange.spot.circulating_wei(token.index), token.wei_decimals)
    )
    context = next(
        (desk.board.spot_context_row(c) for c in desk.exchange.spot.coins_of(token.index)), None
    )
    return {
        "name": token.name,
        "maxSupply": supply,
        "totalSupply": supply,
        "circulatingSupply": supply,
        "szDecimals": token.sz_decimals,
        "weiDecimals": token.wei_decimals,
        "midPx": "1.0" if context is None else (context["midPx"] or "0.0"),
        "markPx": "1.0" if context is None else context["markPx"],
        "prevDayPx": "1.0" if context is None else context["prevDayPx"],
        "genesis": None,
        "deployer": None,
        "deployGas": None,
        "deployTime": None,
        "seededUsdc": "0.0",
        "nonCirculatingUserBalances": [],
        "futureEmissions": "0.0",
    }
