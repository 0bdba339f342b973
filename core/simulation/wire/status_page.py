"""The venue's own page for people: clock, markets, accounts and faults at one glance.

Plain HTML without scripts and without anything from elsewhere; it is served on loopback.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import msgspec

from core.model.time import utc_text

_STYLE = """
:root{color-scheme:light dark;--line:#d8dee4;--soft:#59636e;--card:#f6f8fa;--bad:#bc4c00}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1.5rem 1rem 3rem;
color:#1b1f24;background:#fff}
h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;
margin-top:1.25rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.card b{display:block;font-size:1.1rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{font-weight:600;color:var(--soft)}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
table.words th,table.words td{text-align:left}
td.address{font-family:ui-monospace,monospace;font-size:.85rem}
td.bad{color:var(--bad)}
code{font-size:.9em}
@media(prefers-color-scheme:dark){:root{--line:#30363d;--soft:#9198a1;--card:#151b23;--bad:#ffa657}
body{color:#e6edf3;background:#0d1117}}
"""
_CLOSED = ("delisted", "halted", "post-only")
TITLE = "Hyperliquid Nova: simulated exchange"


class VenueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows; texts are ready to be read."""

    now_ns: int
    end_ns: int
    time_text: str
    """How time moves."""
    tick_count: int
    connection_count: int
    requests: Sequence[tuple[str, int]]
    """(path, count)"""
    markets: Sequence[tuple[str, str, str, str, str]]
    """(coin, bid, ask, mark, state)"""
    accounts: Sequence[tuple[str, str, str, str, str]]
    """(address, account value, tokens, positions, open orders)"""
    accounts_left_out: int
    rules: Sequence[tuple[str, str, str, str]]
    """(name, route, kind, when)"""
    struck: Sequence[tuple[str, str, str, str]]
    """(time, route, kind, name), newest first"""
    struck_count: int
    assumptions: Sequence[str]


def render(facts: VenueFacts) -> str:
    """Return the page."""
    assumptions = "".join(f"<li>{html.escape(line)}</li>" for line in facts.assumptions)
    requests = ", ".join(f"{count:,} {path}" for path, count in facts.requests) or "none yet"
    cards = (
        _card(f"{utc_text(facts.now_ns)}", f"venue time, UTC; {facts.time_text}"),
        _card(f"{facts.tick_count:,}", f"ticks played; data end {utc_text(facts.end_ns)}"),
        _card(f"{facts.connection_count}", "websocket clients"),
        _card(f"{sum(count for _, count in facts.requests):,}", f"requests: {requests}"),
        _card(f"{facts.struck_count:,}", f"faults struck; {len(facts.rules)} rules in force"),
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="5"><style>{_STYLE}</style></head><body>'
        f'<h1>{TITLE}</h1><p class="soft">No real money moves here.</p>'
        f'<div class="cards">{"".join(cards)}</div>'
        f"<h2>Markets</h2>{_table(('Coin', 'Bid', 'Ask', 'Mark', 'State'), facts.markets)}"
        f"<h2>Accounts</h2>{_accounts(facts)}"
        f"<h2>Faults</h2>{_faults(facts)}"
        f'<h2>What this simulation assumes</h2><ul class="soft">{assumptions}</ul></body></html>'
    )


def _card(figure: str, caption: str) -> str:
    return (
        f'<div class="card"><b>{html.escape(figure)}</b>'
        f'<span class="soft">{html.escape(caption)}</span></div>'
    )


def _accounts(facts: VenueFacts) -> str:
    if not facts.accounts:
        return (
            '<p class="soft">None yet. '
            '<code>POST /faucet {"user": "0x…", "usd": 10000}</code> opens one.</p>'
        )
    head = ("Address", "Value, USDC", "Tokens", "Positions", "Open orders")
    more = facts.accounts_left_out
    rest = f'<p class="soft">and {more:,} more</p>' if more else ""
    return _table(head, facts.accounts, first_class="address") + rest


def _faults(facts: VenueFacts) -> str:
    if not facts.rules and not facts.struck:
        return '<p class="soft">None planned.</p>'
    rules = _table(("Rule in force", "Route", "For", "When"), facts.rules, is_words=True)
    if not facts.struck:
        return rules
    head = ("Struck at, UTC", "Route", "What", "By")
    return f"{rules}<h2>Latest faults</h2>{_table(head, facts.struck, is_words=True)}"


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    first_class: str = "",
    is_words: bool = False,
) -> str:
    header = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = ""
    for first, *others in rows:
        cells = f'<td class="{first_class}">{html.escape(first)}</td>'
        for cell in others:
            css = ' class="bad"' if cell in _CLOSED else ""
            cells += f"<td{css}>{html.escape(cell)}</td>"
        body += f"<tr>{cells}</tr>"
    words = ' class="words"' if is_words else ""
    return (
        f'<div class="scroll"><table{words}><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
