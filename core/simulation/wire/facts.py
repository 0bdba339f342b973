"""What the venue's page for people shows, gathered from the venue's parts.

It reads and words; how it looks is the page's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.model.instrument import decimal_text
from core.model.time import utc_text
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.universe import recorded_spot_bases
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.faults import FaultPlan, FaultRule
from core.simulation.wire.status_page import VenueFacts
from core.simulation.wire.text import px_text, usd_text

ACCOUNTS_MAX = 50
STRUCK_MAX = 20
TOKENS_MAX = 4


def collect(
    exchange: SimulatedExchange,
    board: MarketBoard,
    *,
    clock: Mapping[str, Any],
    plan: FaultPlan,
    tick_count: int,
    connection_count: int,
    request_counts: Mapping[str, int],
) -> VenueFacts:
    """Return the facts of one moment.

    Parameters
    ----------
    clock : mapping
        As ``GET /clock`` answers.
    """
    owners = exchange.owners()
    return VenueFacts(
        now_ns=clock["now_ns"],
        end_ns=clock["end_ns"],
        time_text=_time_text(clock),
        tick_count=tick_count,
        connection_count=connection_count,
        requests=sorted(request_counts.items()),
        markets=[_market(exchange, board, coin) for coin in board.coins],
        accounts=[_account(exchange, owner) for owner in owners[:ACCOUNTS_MAX]],
        accounts_left_out=max(0, len(owners) - ACCOUNTS_MAX),
        rules=[_rule(rule) for rule in plan.in_force(clock["now_ns"])],
        struck=[
            (utc_text(row.ts_ns), row.route, row.kind or "all", row.name)
            for row in reversed(plan.struck[-STRUCK_MAX:])
        ],
        struck_count=len(plan.struck),
        assumptions=clock["assumptions"],
    )


def _time_text(clock: Mapping[str, Any]) -> str:
    match clock["mode"]:
        case "manual":
            return "stands until POST /clock moves it"
        case "on-request":
            return "moves with POST /clock and while a client waits"
        case "max":
            return "runs as fast as it can be computed"
        case _:
            return f"runs at {clock['speed']:g} times the world's"


def _market(
    exchange: SimulatedExchange, board: MarketBoard, coin: str
) -> tuple[str, str, str, str, str]:
    instrument = board.instruments[coin]
    bids, asks = board.book(coin)
    best = [px_text(instrument, side[0][0]) if side else "none" for side in (bids, asks)]
    mark = px_text(instrument, exchange.mark_px(coin)) if board.has_market(coin) else ""
    states = exchange.market_states
    state = "halted" if states.is_halted(coin) else "open"
    if coin in states.delisted:
        state = "delisted"
    elif states.is_post_only and state == "open":
        state = "post-only"
    base = recorded_spot_bases().get(coin) if instrument.is_spot else None
    name = coin if base is None else f"{coin} ({base.name}/USDC)"
    return name, best[0], best[1], mark, state


def _account(exchange: SimulatedExchange, owner: str) -> tuple[str, str, str, str, str]:
    summary = exchange.account_summary(owner)
    names = {token.index: token for token in exchange.spot.tokens}
    tokens = []
    for balance in exchange.spot.balances(owner):
        if balance.total_wei:
            token = names[balance.token]
            tokens.append(f"{decimal_text(balance.total_wei, token.wei_decimals)} {token.name}")
    held = ", ".join(tokens[:TOKENS_MAX]) + (" …" if len(tokens) > TOKENS_MAX else "")
    positions = ", ".join(position.coin for position in summary.positions)
    return (
        owner,
        usd_text(summary.total.account_value_micro),
        held or "none",
        positions or "none",
        str(len(exchange.open_orders(owner))),
    )


def _rule(rule: FaultRule) -> tuple[str, str, str, str]:
    when = []
    if rule.from_ms is not None or rule.until_ms is not None:
        when.append(f"from {rule.from_ms or 0} to {rule.until_ms or 'the end'} ms")
    elif rule.from_s or rule.until_s is not None:
        end = "the end" if rule.until_s is None else f"{rule.until_s:g} s"
        when.append(f"from {rule.from_s:g} s to {end}")
    if rule.after:
        when.append(f"after {rule.after}")
    if rule.every > 1:
        when.append(f"every {rule.every}th")
    if rule.every_s is not None:
        when.append(f"every {rule.every_s:g} s")
    if rule.chance < 1.0:
        when.append(f"with chance {rule.chance:g}")
    if rule.times is not None:
        when.append(f"at most {rule.times} times")
    return rule.label, rule.route, rule.kind or "all", ", ".join(when) or "always"
