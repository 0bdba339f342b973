"""Perp dexes: the venue's own, and those of builders as metadata without a market.

Source: reference sections 3 and 10.2.
"""

from __future__ import annotations

from typing import Any

from core.simulation.market.builder_dexes import (
    FIRST_DEX,
    BuilderDex,
    builder_dexes,
    recorded_perp_dexs,
)
from core.simulation.market.universe import recorded_meta
from core.simulation.wire.board import empty_context
from core.simulation.wire.queries.base import Desk, Handler, Query, dex, text
from core.simulation.wire.requests import RequestError
from core.simulation.wire.text import usd_text

TRANSFER_MAX = "1000000.0"
"""What may move into a builder's dex at once; recorded nowhere, and nothing can move here."""


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""

    def with_contexts(query: Query, now_ns: int) -> Any:
        name = dex(query)
        found = meta_of(name)
        contexts = [empty_context() for _ in found["universe"]] if name else desk.board.contexts()
        return [found, contexts]

    def at_cap(query: Query, now_ns: int) -> Any:
        name = dex(query)
        meta_of(name)
        return [] if name else list(desk.exchange.market_states.coins_at_cap())

    def limits(query: Query, now_ns: int) -> Any:
        caps = _builder_dex(text(query, "dex")).caps
        return {
            "totalOiCap": str(sum(float(cap) for _, cap in caps)),
            "oiSzCapPerPerp": max((cap for _, cap in caps), key=float, default="0.0"),
            "maxTransferNtl": TRANSFER_MAX,
            "coinToOiCap": [[coin, cap] for coin, cap in caps],
        }

    def status(query: Query, now_ns: int) -> Any:
        name = dex(query)
        meta_of(name)
        return {"totalNetDeposit": usd_text(0 if name else desk.exchange.net_deposits_micro())}

    def metas(query: Query, now_ns: int) -> Any:
        return [recorded_meta(), *(found.meta for found in builder_dexes().values())]

    return {
        "meta": lambda query, now_ns: meta_of(dex(query)),
        "metaAndAssetCtxs": with_contexts,
        "allPerpMetas": metas,
        "perpDexs": lambda query, now_ns: recorded_perp_dexs(),
        "perpsAtOpenInterestCap": at_cap,
        "perpDexLimits": limits,
        "perpDexStatus": status,
    }


def meta_of(name: str) -> dict[str, Any]:
    """Return the metadata of a dex; `RequestError` if there is none of that name."""
    return recorded_meta() if name == FIRST_DEX else _builder_dex(name).meta


def _builder_dex(name: str) -> BuilderDex:
    found = builder_dexes().get(name)
    if found is None:
        raise RequestError(f"unknown perp dex `{name}`")
    return found
