"""The live view: one `SystemStatus` as a screen.

`render` is a pure function of a status; it asks nothing, keeps nothing and decides nothing, so
that the same picture serves the live view, ``nova status`` and the tests. It fits what it shows
to the width and height it is given: first the tables at the bottom shrink, then the sentences
under each coin, but the line that says why a coin is not traded never goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from core.interfaces import text as t
from core.interfaces.columns import (
    Cell,
    Column,
    fit,
    heading_line,
    row_line,
    sentence_line,
    shown,
)
from core.model.account import AttributedFill, EquityPoint, OrderRow
from core.model.codes import Mode, OrderStatus, Regime, TradingState
from core.model.status import CoinStatus, SystemStatus
from core.model.time import utc_text

WIDTH_MIN = 24
WIDTH_WIDE = 96
CURVE_WIDTH_MAX = 48
CURVE_POINTS_MAX = 500
ACCOUNT_ROWS = 5
FRAME_ROWS = 2
TABLE_ROWS_MIN = 5
TABLE_ROWS_USUAL = 9
COIN_LINES_MAX = 3

MODE_STYLES = {
    Mode.DEMO: "bold black on cyan",
    Mode.PAPER: "bold white on blue",
    Mode.BACKTEST: "bold white on magenta",
    Mode.TESTNET: "bold black on yellow",
    Mode.LIVE: "bold white on red",
}
STATE_STYLES = {
    TradingState.ACTIVE: "bold green",
    TradingState.REDUCING: "bold yellow",
    TradingState.HALTED: "bold red",
}
REGIME_STYLES = {
    Regime.UNKNOWN: "dim",
    Regime.TRENDING: "cyan",
    Regime.RANGING: "blue",
    Regime.VOLATILE: "magenta",
    Regime.CALM: "green",
}
PURPOSE_STYLES = {"stop": "red", "target": "green", "flatten": "bold red"}

COIN_COLUMNS = (
    Column("Coin", 6),
    Column("Price", 10, is_right=True),
    Column("Regime", 13),
    Column("Strategy", 15),
    Column("Position", 10, is_right=True),
    Column("Entry", 9, is_right=True, screen_width_min=112),
    Column("Stop", 9, is_right=True, screen_width_min=92),
    Column("Target", 9, is_right=True, screen_width_min=102),
    Column("Open PnL", 10, is_right=True),
    Column("Notional", 12, is_right=True, screen_width_min=126),
    Column("Data", 12, is_right=True, screen_width_min=140),
)
ORDER_COLUMNS = (
    Column("Coin", 5),
    Column("Side", 4),
    Column("Size", 8, is_right=True),
    Column("Price", 8, is_right=True),
    Column("For", 7),
    Column("Status", 9, screen_width_min=50),
    Column("Strategy", 15, screen_width_min=66),
)
FILL_COLUMNS = (
    Column("Time", 8, screen_width_min=49),
    Column("Coin", 5),
    Column("Side", 4),
    Column("Size", 8, is_right=True),
    Column("Price", 8, is_right=True),
    Column("PnL", 7, is_right=True),
    Column("Strategy", 15, screen_width_min=66),
)


def render(
    status: SystemStatus,
    equity: Sequence[EquityPoint] = (),
    *,
    rows: int | None = None,
    notice: str = "",
) -> RenderableType:
    """Draw one status.

    Parameters
    ----------
    equity : sequence of EquityPoint
        Recent points, oldest first, for the small curve; may be empty.
    rows : int or None
        Height to fit into; ``None`` shows everything.
    notice : str
        A word to the person in front of the screen, such as that it is stopping.

    Returns
    -------
    RenderableType
        Adapts its width to the console that prints it.
    """
    return _SystemView(status, equity, rows, notice)


class _SystemView:
    """A status that knows how to draw itself at the width it is asked for."""

    def __init__(
        self,
        status: SystemStatus,
        equity: Sequence[EquityPoint],
        rows: int | None,
        notice: str,
    ) -> None:
        self._status = status
        self._equity = equity
        self._rows = rows
        self._notice = notice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        lines = console.render_lines(self._body(max(WIDTH_MIN, width)), options, pad=False)
        if self._rows is not None:
            lines = lines[: self._rows]
        newline = Segment.line()
        for i, line in enumerate(lines):
            if i:
                yield newline
            for segment in line:
                yield _ascii_segment(segment) if options.ascii_only else segment
        yield newline

    def _body(self, width: int) -> Group:
        status = self._status
        coin_lines, coin_count, table_rows = _share_rows(status, self._rows)
        return Group(
            _header(status, self._notice, width),
            _account_panel(status, self._equity, width),
            _coins_panel(status, width, lines_each=coin_lines, coin_count=coin_count),
            *([_bottom(status, width, table_rows)] if table_rows else []),
        )


def _share_rows(status: SystemStatus, rows: int | None) -> tuple[int, int, int]:
    """Divide the height: lines of each coin, coins shown, rows of the tables at the bottom."""
    coin_count = len(status.coins)
    content = max(len(status.orders), len(status.fills), 1) + FRAME_ROWS + 1
    if rows is None:
        return COIN_LINES_MAX, coin_count, content
    left = rows - 1 - ACCOUNT_ROWS - FRAME_ROWS - 1
    for lines_each in range(COIN_LINES_MAX, 0, -1):
        spare = left - lines_each * max(1, coin_count)
        if spare >= TABLE_ROWS_MIN:
            return lines_each, coin_count, min(spare, max(TABLE_ROWS_USUAL, content))
        if lines_each == 1 and spare >= 0:
            return 1, coin_count, 0
    return 1, max(1, left - 1), 0


def _header(status: SystemStatus, notice: str, width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f" {status.mode.value.upper()} ", MODE_STYLES[status.mode])
    state_style = STATE_STYLES[status.trading_state]
    line.append(f" ● {status.trading_state.value.upper()}", state_style)
    clock = f"{utc_text(status.ts_ns)} UTC" if status.ts_ns else ""
    word = t.clean(notice or status.state_reason)
    if notice and width - line.cell_len - len(clock) - 3 < len(word):
        clock = ""
    room = width - line.cell_len - len(clock) - 3
    line.append("  ")
    line.append(fit(word, max(0, room)), "bold yellow" if notice else "dim")
    line.append(" ")
    line.append(clock, "bold")
    return line


def _account_panel(status: SystemStatus, equity: Sequence[EquityPoint], width: int) -> Panel:
    is_wide = width >= WIDTH_WIDE
    facts = _account_facts(status, is_wide)
    widths = [max(cell.cell_len for cell in column) for column in zip(*facts, strict=True)]
    gap = 4 if is_wide else 2
    room = min(CURVE_WIDTH_MAX, width - 4 - sum(widths) - gap * len(widths))
    stride = max(1, len(equity) // CURVE_POINTS_MAX)
    points = [float(point.equity_micro) for point in equity[::stride]]
    first = (
        _fact("Equity", Text(t.money_text(status.equity_micro), "bold")),
        _drawdown(status, room),
        Text(t.spark_text(points, room), "cyan")
        if points
        else _fact("Cash", Text(t.money_text(status.cash_micro))),
    )
    lines = []
    for head, cells in zip(first, facts, strict=True):
        line = Text(no_wrap=True, overflow="ellipsis")
        for cell, cell_width in zip((head, *cells), (room, *widths), strict=True):
            padding = max(0, cell_width - cell.cell_len) + gap
            line.append_text(cell).append(" " * padding)
        line.rstrip()
        lines.append(line)
    title = f"Account {t.short_address(t.clean(status.account))}"
    return _panel(Group(*lines), title, f"session {t.clean(status.session, 60)}")


def _account_facts(status: SystemStatus, is_wide: bool) -> tuple[tuple[Text, ...], ...]:
    """Return the account's facts in three rows of three."""
    before = status.equity_micro - status.day_pnl_micro
    day = _signed(status.day_pnl_micro)
    if before > 0:
        day.append(f" {t.percent_text(status.day_pnl_micro / before, signed=True)}", "dim")
    return (
        (
            _fact("Day", day),
            _fact("Realized", _signed(status.realized_pnl_micro)),
            _fact("Data", Text(t.age_text(_data_age_ns(status)))),
        ),
        (
            _fact("Exposure", Text(_exposure(status))),
            _fact("Fees", _signed(-status.fees_micro)),
            _budget("Requests", status.requests_used, status.requests_cap, is_wide),
        ),
        (
            _fact("Margin", Text(t.money_text(status.margin_used_micro))),
            _fact("Funding", _signed(status.funding_micro)),
            _budget("IP weight", status.ip_weight_used, status.ip_weight_cap, is_wide),
        ),
    )


def _drawdown(status: SystemStatus, width: int) -> Text:
    """Draw the drawdown against its limit in ``width`` cells."""
    share = status.drawdown / status.drawdown_limit if status.drawdown_limit > 0 else math.nan
    style = "green" if share < 0.5 else "yellow" if share < 0.8 else "bold red"
    numbers = f" {100 * status.drawdown:.1f}"
    limit = f" of {100 * status.drawdown_limit:g} %"
    line = Text.assemble(("Drawdown ", "dim"))
    line.append(t.bar_text(share, width - line.cell_len - len(numbers) - len(limit)), style)
    line.append(numbers)
    line.append(limit, "dim")
    return line


def _coins_panel(status: SystemStatus, width: int, *, lines_each: int, coin_count: int) -> Panel:
    inner = width - 4
    indices = shown(COIN_COLUMNS, width)
    lines = [heading_line(COIN_COLUMNS, indices)]
    for coin in status.coins[:coin_count]:
        lines.extend(_coin_lines(coin, indices, inner, lines_each))
    hidden = len(status.coins) - coin_count
    if hidden > 0:
        lines.append(Text(f"… and {hidden} more; enlarge the window or ask nova status", "dim"))
    if not status.coins:
        lines.append(Text("no coin yet: waiting for the venue's list of instruments", "yellow"))
    return _panel(Group(*lines), "Coins", _trouble(status))


def _coin_lines(
    coin: CoinStatus, indices: Sequence[int], width: int, lines_each: int
) -> Iterator[Text]:
    why_not = t.clean(coin.why_not)
    blocked = ("✗ not trading:", why_not, "yellow")
    wish = t.clean(coin.wish)
    free = ("✓ trading:" if wish else "✓ free to trade:", wish or "no wish", "green")
    label, sentence, style = blocked if why_not else free
    if lines_each == 1:
        head = f"{fit(t.clean(coin.coin), 6)} {fit(t.price_text(coin.price, coin.sz_decimals), 9)}"
        line = Text(head, no_wrap=True)
        line.append(f" {fit(coin.regime.value, 8)} ", REGIME_STYLES[coin.regime])
        line.append(fit(t.coins_text(coin.position_coins, coin.sz_decimals), 9))
        line.append(f" {label[0]} ", style)
        line.append(fit(sentence, width - line.cell_len).rstrip(), style)
        yield line
        return
    yield row_line(COIN_COLUMNS, indices, _coin_cells(coin))
    if lines_each >= COIN_LINES_MAX:
        why = t.clean(coin.strategy_reason) or "no strategy chosen yet"
        yield sentence_line("why", why, width, style="dim")
    yield sentence_line(label, sentence, width, style=style)


def _coin_cells(coin: CoinStatus) -> list[Cell]:
    d = coin.sz_decimals
    confidence = f" {t.percent_text(coin.regime_confidence, 0)}" if coin.regime_confidence else ""
    has_position = coin.position_coins != 0
    pnl = coin.unrealized_pnl_micro
    return [
        Cell(t.clean(coin.coin), "bold"),
        Cell(t.price_text(coin.price, d)),
        Cell(coin.regime.value + confidence, REGIME_STYLES[coin.regime]),
        Cell(t.clean(coin.strategy) or t.NOTHING, "" if coin.strategy else "dim"),
        Cell(
            t.coins_text(coin.position_coins, d),
            "green" if coin.position_coins > 0 else "red" if has_position else "dim",
        ),
        Cell(t.price_text(coin.entry_price, d)),
        Cell(t.price_text(coin.stop_price, d)),
        Cell(t.price_text(coin.target_price, d)),
        Cell(t.money_text(pnl, signed=True) if has_position else t.NOTHING, _sign_style(pnl)),
        Cell(t.money_text(coin.position_notional_micro) if has_position else t.NOTHING),
        Cell(t.age_text(coin.data_age_ns), "dim"),
    ]


def _bottom(status: SystemStatus, width: int, rows: int) -> RenderableType:
    left = width // 2
    decimals = {coin.coin: coin.sz_decimals for coin in status.coins}
    content = max(1, rows - FRAME_ROWS - 1)
    pair = Table.grid(expand=True)
    pair.add_column(width=left)
    pair.add_column(width=width - left)
    pair.add_row(
        _orders_panel(status.orders, decimals, left, content),
        _fills_panel(status.fills, decimals, width - left, content),
    )
    return pair


def _orders_panel(
    orders: Sequence[OrderRow], decimals: dict[str, int], width: int, content: int
) -> Panel:
    indices = shown(ORDER_COLUMNS, width)
    lines = [heading_line(ORDER_COLUMNS, indices)]
    for order in orders[: _kept(len(orders), content)]:
        d = decimals.get(order.coin, 0)
        is_flying = order.status is OrderStatus.IN_FLIGHT
        cells = [
            Cell(t.clean(order.coin), "bold"),
            Cell(t.side_text(order.is_buy), _side_style(order.is_buy)),
            Cell(t.lots_text(order.lots_left, d)),
            Cell(t.px_text(order.trigger_px or order.px, d)),
            Cell(order.purpose.value, PURPOSE_STYLES.get(order.purpose.value, "")),
            Cell(order.status.value.replace("_", " "), "yellow" if is_flying else "dim"),
            Cell(t.clean(order.strategy), "dim"),
        ]
        lines.append(row_line(ORDER_COLUMNS, indices, cells))
    return _listing(lines, f"Working orders {len(orders)}", "no order works", len(orders), content)


def _fills_panel(
    fills: Sequence[AttributedFill], decimals: dict[str, int], width: int, content: int
) -> Panel:
    indices = shown(FILL_COLUMNS, width)
    lines = [heading_line(FILL_COLUMNS, indices)]
    newest = sorted(fills, key=lambda row: row.fill.ts_exch_ns, reverse=True)
    for row in newest[: _kept(len(newest), content)]:
        fill, d = row.fill, decimals.get(row.fill.coin, 0)
        pnl = fill.closed_pnl_micro - fill.fee_micro
        cells = [
            Cell(t.clock_text(fill.ts_exch_ns), "dim"),
            Cell(t.clean(fill.coin), "bold"),
            Cell(t.side_text(fill.is_buy), _side_style(fill.is_buy)),
            Cell(t.lots_text(fill.lots, d)),
            Cell(t.px_text(fill.px, d)),
            Cell(t.money_short_text(pnl), _sign_style(pnl)),
            Cell(t.clean(row.strategy) or "foreign", "dim"),
        ]
        lines.append(row_line(FILL_COLUMNS, indices, cells))
    return _listing(lines, "Last fills", "nothing filled yet", len(fills), content)


def _listing(lines: list[Text], title: str, empty: str, count: int, content: int) -> Panel:
    if count == 0:
        lines.append(Text(empty, "dim"))
    elif count > content:
        lines.append(Text(f"… and {count - _kept(count, content)} more", "dim"))
    height = content + FRAME_ROWS + 1
    return _panel(Group(*lines), title, "", height=height)


def _kept(count: int, content: int) -> int:
    """Return how many of ``count`` rows fit, leaving a line for the rest's number."""
    return count if count <= content else content - 1


def _panel(
    content: RenderableType, title: str, subtitle: str, *, height: int | None = None
) -> Panel:
    return Panel(
        content,
        title=Text(title, "bold default"),
        title_align="left",
        subtitle=Text(subtitle, "dim default") if subtitle else None,
        subtitle_align="right",
        box=ROUNDED,
        border_style="bright_black",
        padding=(0, 1),
        height=height,
    )


def _trouble(status: SystemStatus) -> str:
    """Say what was refused and set aside, most frequent first."""
    ranked = sorted(status.refusals.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{t.clean(code, 40)} {count}" for code, count in ranked[:3]]
    if status.quarantined_count:
        parts.append(f"quarantined {status.quarantined_count}")
    return "refused: " + " · ".join(parts) if parts else ""


def _fact(label: str, value: Text) -> Text:
    return Text.assemble((f"{label} ", "dim"), value)


def _budget(label: str, used: int, cap: int, is_wide: bool) -> Text:
    share = used / cap if cap > 0 else 0.0
    style = "bold red" if share > 0.9 else "yellow" if share > 0.7 else ""
    words = f"{used:,} of {cap:,}" if is_wide and cap > 0 else t.share_text(used, cap)
    return _fact(label, Text(words, style))


def _exposure(status: SystemStatus) -> str:
    if status.equity_micro <= 0:
        return t.money_text(status.exposure_gross_micro)
    return t.number_text(status.exposure_gross_micro / status.equity_micro, 2) + "×"


def _data_age_ns(status: SystemStatus) -> int:
    ages = [coin.data_age_ns for coin in status.coins]
    return -1 if not ages or min(ages) < 0 else max(ages)


def _signed(micro: int) -> Text:
    return Text(t.money_text(micro, signed=True), _sign_style(micro))


def _sign_style(micro: int) -> str:
    return "green" if micro > 0 else "red" if micro < 0 else ""


def _side_style(is_buy: bool) -> str:
    return "green" if is_buy else "red"


def _ascii_segment(segment: Segment) -> Segment:
    return Segment(t.ascii_text(segment.text), segment.style, segment.control)
