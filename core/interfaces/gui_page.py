"""HTML of the page on loopback, as pure functions of what it shows.

Every text passes through `escaped`; the page loads nothing from anywhere and its one script only
fetches the next picture. No number is computed here that is not a coordinate.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from core.interfaces import text as t
from core.model.account import AttributedFill, EquityPoint, OrderRow
from core.model.codes import Mode, TradingState
from core.model.instrument import usdc
from core.model.record import SessionRecord
from core.model.status import CoinStatus, SystemStatus
from core.model.time import utc_text

REFRESH_MS = 1_000
CURVE_WIDTH = 920
CURVE_HEIGHT = 180
CURVE_POINTS_MAX = 600
FILLS_SHOWN_MAX = 500

_STYLE = """
:root{color-scheme:light dark;--bg:#f7f8fa;--card:#fff;--ink:#16191d;--dim:#5c6670;--line:#dde2e8;
--up:#00715a;--down:#b3341f;--accent:#0b63b5;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--bg:#0f1216;--card:#171b21;--ink:#e8ecf1;--dim:#98a3ae;
--line:#2a313a;--up:#4fd1a5;--down:#ff8f73;--accent:#6fb4ff;--warn:#f2b84b}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1100px;padding:1rem;background:var(--bg);
color:var(--ink);font:15px/1.45 system-ui,sans-serif;font-variant-numeric:tabular-nums}
header{display:flex;gap:.75rem;align-items:center;flex-wrap:wrap;margin-bottom:1rem}
h1{font-size:1.1rem;margin:0}h2{font-size:.95rem;margin:0 0 .5rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;
margin-bottom:1rem;overflow-x:auto}.badge{padding:.1rem .6rem;border-radius:99px;font-weight:700;
background:var(--accent);color:var(--bg)}.badge.live{background:var(--down)}
.badge.testnet{background:var(--warn)}.dim{color:var(--dim)}.up{color:var(--up)}
.down{color:var(--down)}.warn{color:var(--warn)}dl{display:grid;margin:0;gap:.6rem 1.5rem;
grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr))}dt{color:var(--dim);font-size:.8rem}
dd{margin:0;font-weight:600}table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;
text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
td:first-child,th:first-child,.left{text-align:left}th{color:var(--dim);font-weight:500;
font-size:.8rem}td.why{text-align:left;white-space:normal;color:var(--dim);border-bottom-width:2px}
svg{width:100%;height:auto;display:block}body.stale main{opacity:.45}
#stale{display:none;color:var(--down);font-weight:700}body.stale #stale{display:inline}
"""

_SCRIPT = """
const main=document.querySelector('main');
async function next(){try{const r=await fetch('/view',{cache:'no-store'});
if(!r.ok)throw new Error(r.status);main.innerHTML=await r.text();
document.body.classList.remove('stale')}catch(e){document.body.classList.add('stale')}
setTimeout(next,%d)}setTimeout(next,%d);
"""


def escaped(text: str) -> str:
    """Make any text safe inside an element or a quoted attribute."""
    return html.escape(t.clean(text), quote=True)


def page(view: str, *, nonce: str) -> str:
    """Return the whole document around one view."""
    script = _SCRIPT % (REFRESH_MS, REFRESH_MS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>Hyperliquid Nova</title><style nonce="{nonce}">{_STYLE}</style></head><body>'
        '<p id="stale" role="alert">No answer from the bot: what stands here is old.</p>'
        f'<main>{view}</main><script nonce="{nonce}">{script}</script></body></html>'
    )


def status_view(status: SystemStatus | None, equity: Sequence[EquityPoint]) -> str:
    """Return everything the page shows of a running system."""
    if status is None:
        return "<section><h2>No session</h2><p>Nothing runs here yet.</p></section>"
    decimals = {coin.coin: coin.sz_decimals for coin in status.coins}
    return "".join(
        (
            _header(status),
            _card("Account", pnl_list(status)),
            _card("Equity", equity_svg(equity)),
            _card("Coins", _coins_table(status.coins)),
            _card("Working orders", _orders_table(status.orders, decimals)),
            _card("Last fills", fills_table(status.fills, decimals)),
        )
    )


def record_view(record: SessionRecord) -> str:
    """Return everything the page shows of a finished session."""
    decimals = {coin: i.sz_decimals for coin, i in record.instruments.items()}
    return "".join(
        (
            f'<header><span class="badge">{record.mode.value.upper()}</span>'
            f'<h1>Hyperliquid Nova</h1><span class="dim">{escaped(record.session)} · '
            f"{utc_text(record.start_ns)} to {utc_text(record.end_ns)} UTC</span></header>",
            _card("Equity", equity_svg(record.equity)),
            _card("Fills", fills_table(record.fills[-FILLS_SHOWN_MAX:], decimals)),
        )
    )


def pnl_list(status: SystemStatus) -> str:
    """Return the account's money and limits as a description list."""
    facts = (
        ("Equity", t.money_text(status.equity_micro), 0),
        ("Day PnL", t.money_text(status.day_pnl_micro, signed=True), status.day_pnl_micro),
        ("Realized", t.money_text(status.realized_pnl_micro, signed=True), 0),
        ("Fees", t.money_text(-status.fees_micro, signed=True), 0),
        ("Funding", t.money_text(status.funding_micro, signed=True), 0),
        (
            "Drawdown",
            f"{t.percent_text(status.drawdown)} of {t.percent_text(status.drawdown_limit, 1)}",
            0,
        ),
        ("Exposure", t.money_text(status.exposure_gross_micro), 0),
        ("Margin used", t.money_text(status.margin_used_micro), 0),
        ("Requests", f"{status.requests_used:,} of {status.requests_cap:,}", 0),
        ("IP weight", f"{status.ip_weight_used:,} of {status.ip_weight_cap:,}", 0),
    )
    items = (
        f'<div><dt>{label}</dt><dd class="{_sign(sign)}">{escaped(value)}</dd></div>'
        for label, value, sign in facts
    )
    return f"<dl>{''.join(items)}</dl>"


def fills_table(fills: Iterable[AttributedFill], decimals: dict[str, int]) -> str:
    """Return fills as a table, newest first."""
    rows = []
    for row in sorted(fills, key=lambda r: r.fill.ts_exch_ns, reverse=True):
        fill, d = row.fill, decimals.get(row.fill.coin, 0)
        pnl = fill.closed_pnl_micro - fill.fee_micro
        rows.append(
            (
                ("left", utc_text(fill.ts_exch_ns)),
                ("left", fill.coin),
                ("up" if fill.is_buy else "down", t.side_text(fill.is_buy)),
                ("", t.lots_text(fill.lots, d)),
                ("", t.px_text(fill.px, d)),
                (_sign(pnl), t.money_text(pnl, signed=True)),
                ("left", row.strategy or "foreign"),
                ("left dim", row.purpose.value if row.purpose else ""),
            )
        )
    heads = ("Time (UTC)", "Coin", "Side", "Size", "Price", "PnL", "Strategy", "For")
    return _table(heads, rows, "nothing filled yet")


def equity_svg(equity: Sequence[EquityPoint]) -> str:
    """Return the equity curve as an SVG picture, at most `CURVE_POINTS_MAX` points."""
    stride = max(1, math.ceil(len(equity) / CURVE_POINTS_MAX))
    points = [(p.ts_ns, usdc(p.equity_micro)) for p in [*equity[::stride], *equity[-1:]]]
    if len(points) < 2:
        return '<p class="dim">The curve begins with the second sample.</p>'
    low, high = min(v for _, v in points), max(v for _, v in points)
    span, first = max(high - low, 1e-9), points[0][0]
    length = max(1, points[-1][0] - first)
    path = " ".join(
        f"{(ts - first) / length * CURVE_WIDTH:.1f},"
        f"{(CURVE_HEIGHT - 8) - (value - low) / span * (CURVE_HEIGHT - 16):.1f}"
        for ts, value in points
    )
    label = f"Equity from {t.number_text(points[0][1], 2)} to {t.number_text(points[-1][1], 2)}"
    return (
        f'<svg viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" role="img" aria-label="{label} USDC">'
        f'<polyline points="{path}" fill="none" stroke="var(--accent)" stroke-width="2" '
        'vector-effect="non-scaling-stroke"/></svg>'
        f'<p class="dim">{label} USDC; lowest {t.number_text(low, 2)}, '
        f"highest {t.number_text(high, 2)}</p>"
    )


def _header(status: SystemStatus) -> str:
    mode_class = status.mode.value if status.mode in (Mode.LIVE, Mode.TESTNET) else ""
    state_class = "up" if status.trading_state is TradingState.ACTIVE else "down"
    return (
        f'<header><span class="badge {mode_class}">{status.mode.value.upper()}</span>'
        f'<strong class="{state_class}">{status.trading_state.value.upper()}</strong>'
        f'<span class="dim">{escaped(status.state_reason)}</span>'
        f'<h1>Hyperliquid Nova</h1><span class="dim">{escaped(status.session)} · '
        f"{escaped(t.short_address(status.account))} · {utc_text(status.ts_ns)} UTC</span></header>"
    )


def _coins_table(coins: Sequence[CoinStatus]) -> str:
    heads = ("Coin", "Price", "Regime", "Strategy", "Position", "Entry", "Stop", "Open PnL", "Data")
    body = []
    for coin in coins:
        d = coin.sz_decimals
        has_position = coin.position_coins != 0
        pnl = coin.unrealized_pnl_micro
        cells = (
            ("left", coin.coin),
            ("", t.price_text(coin.price, d)),
            ("", f"{coin.regime.value} {t.percent_text(coin.regime_confidence, 0)}"),
            ("", coin.strategy or t.NOTHING),
            ("", t.coins_text(coin.position_coins, d)),
            ("", t.price_text(coin.entry_price, d)),
            ("", t.price_text(coin.stop_price, d)),
            (_sign(pnl), t.money_text(pnl, signed=True) if has_position else t.NOTHING),
            ("dim", t.age_text(coin.data_age_ns)),
        )
        body.append(_row(cells))
        verdict = f"Not trading: {coin.why_not}" if coin.why_not else f"Wish: {coin.wish or 'none'}"
        style = "warn" if coin.why_not else "dim"
        body.append(
            f'<tr><td class="why" colspan="{len(heads)}"><span class="{style}">{escaped(verdict)}'
            f"</span><br>{escaped(coin.strategy_reason)}</td></tr>"
        )
    return _table_of(heads, "".join(body), "no coin yet")


def _orders_table(orders: Sequence[OrderRow], decimals: dict[str, int]) -> str:
    rows = [
        (
            ("left", order.coin),
            ("up" if order.is_buy else "down", t.side_text(order.is_buy)),
            ("", t.lots_text(order.lots_left, decimals.get(order.coin, 0))),
            ("", t.px_text(order.trigger_px or order.px, decimals.get(order.coin, 0))),
            ("left", order.purpose.value),
            ("left", order.status.value.replace("_", " ")),
            ("left", order.strategy),
        )
        for order in orders
    ]
    heads = ("Coin", "Side", "Size", "Price", "For", "Status", "Strategy")
    return _table(heads, rows, "no order works")


def _card(title: str, content: str) -> str:
    return f"<section><h2>{escaped(title)}</h2>{content}</section>"


def _row(cells: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<td class="{style}">{escaped(text)}</td>' for style, text in cells)
    return f"<tr>{body}</tr>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]], empty: str) -> str:
    return _table_of(heads, "".join(_row(row) for row in rows), empty)


def _table_of(heads: Sequence[str], body: str, empty: str) -> str:
    if not body:
        return f'<p class="dim">{escaped(empty)}</p>'
    head = "".join(f'<th scope="col">{escaped(text)}</th>' for text in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _sign(micro: int) -> str:
    return "up" if micro > 0 else "down" if micro < 0 else ""
