"""The venue's own page for people: clock, markets and accounts at one glance.

Plain HTML without scripts and without anything from elsewhere; it is served on loopback.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import msgspec

from core.model.time import utc_text

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24;background:#fff}
h1{font-size:1.3rem}h2{font-size:1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.25rem .6rem;
border-bottom:1px solid #d8dee4;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}
th,td{border-color:#30363d}}
"""


class VenueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows; texts are ready to be read."""

    now_ns: int
    end_ns: int
    speed: float
    tick_count: int
    connection_count: int
    markets: Sequence[tuple[str, str, str, str]]
    """(coin, bid, ask, mark)"""
    accounts: Sequence[tuple[str, str, str, str]]
    """(address, account value, open orders, positions)"""
    assumptions: Sequence[str]


def render(facts: VenueFacts) -> str:
    """Return the page."""
    title = "Hyperliquid Nova: simulated exchange"
    assumptions = "".join(f"<li>{html.escape(line)}</li>" for line in facts.assumptions)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="refresh" content="5"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>No real money moves here. Venue time {utc_text(facts.now_ns)} UTC, "
        f"running at {facts.speed:g} times the world's; market data end "
        f"{utc_text(facts.end_ns)} UTC. {facts.tick_count} ticks played, "
        f"{facts.connection_count} websocket clients.</p>"
        f"<h2>Markets</h2>{_table(('Coin', 'Bid', 'Ask', 'Mark'), facts.markets)}"
        "<h2>Accounts</h2>"
        f"{_table(('Address', 'Value, USDC', 'Open orders', 'Positions'), facts.accounts)}"
        f"<h2>What this simulation assumes</h2><ul>{assumptions}</ul></body></html>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    header = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
