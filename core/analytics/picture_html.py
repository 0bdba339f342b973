"""Draw a session as one HTML page that needs no network: plotly.js travels inside the file.

Knows how the page looks; what is shown was decided in `core.analytics.series` and `summary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from core.analytics import series
from core.analytics.report import PerformanceReport, RoundTrip
from core.analytics.summary import (
    TABLE_HEAD,
    SummaryRow,
    TableRow,
    attribution_tables,
    money_text,
    summary_rows,
)
from core.model.time import duration_text, utc_text

_EQUITY_PX, _DRAWDOWN_PX, _COIN_PX, _GAP_PX = 300, 120, 250, 76
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_GRID = "#E6E9EC"
_TEXT = "#1B2733"
_TRIPS_LISTED_MAX = 500
_UNIT_LENGTH_MAX = 5

_STYLE = f"""
:root {{ color-scheme: light; }}
body {{ font: 15px/1.45 {_FONT}; color: {_TEXT}; background: #fff; margin: 0 auto;
  max-width: 1280px; padding: 28px 24px 60px; }}
h1 {{ font-size: 23px; margin: 0 0 4px; }}
h2 {{ font-size: 17px; margin: 36px 0 10px; }}
p.note, footer {{ color: #6B7680; margin: 4px 0; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(285px, 1fr)); gap: 12px;
  margin: 20px 0 8px; }}
.card {{ border: 1px solid {_GRID}; border-radius: 10px; padding: 10px 12px 12px; }}
.card h3 {{ font-size: 13px; color: #6B7680; margin: 2px 0 6px; font-weight: 600; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
td, th {{ padding: 3px 8px; text-align: right; border-bottom: 1px solid #F0F2F4; font-weight: 400;
  white-space: nowrap; }}
th {{ color: #6B7680; font-size: 13px; }}
td:first-child, th:first-child {{ text-align: left; white-space: pre; }}
.card td {{ padding: 2px 0; border: 0; font-size: 13.5px; }}
.card td:last-child {{ color: #6B7680; font-size: 13px; text-align: left; padding-left: 8px;
  width: 2.6em; }}
.card td.below {{ text-align: right; white-space: normal; padding: 0 3.2em 3px 0; }}
tr.total td {{ font-weight: 600; border-top: 1px solid #C5CBD0; border-bottom: 0; }}
.gain {{ color: {series.LONG_COLOUR}; }} .loss {{ color: #B24700; }}
.tables {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(560px, 1fr));
  gap: 6px 40px; }}
.scroll {{ max-height: 460px; overflow: auto; border: 1px solid {_GRID}; border-radius: 10px; }}
.scroll th {{ position: sticky; top: 0; background: #fff; }}
"""


def draw_html(picture: series.Picture, report: PerformanceReport, trips: Sequence[RoundTrip],
              path: Path) -> None:  # fmt: skip
    """Write the page: headline numbers, charts, attribution tables and the round trips.

    Every text of the session is escaped; the page loads nothing from anywhere.
    """
    charts = _time_figure(picture).to_html(
        full_html=False, include_plotlyjs=True, config=_config(), default_width="100%"
    )
    bars = _bar_figure(picture).to_html(
        full_html=False, include_plotlyjs=False, config=_config(), default_width="100%"
    )
    body = "\n".join(
        (
            f"<h1>{escape(picture.title)}</h1>",
            f'<p class="note">Session {escape(report.session)}. All times are UTC.</p>',
            _cards(summary_rows(report)),
            charts,
            _left_out_note(picture),
            "<h2>Where the money came from</h2>",
            bars,
            _tables(attribution_tables(report)),
            _trip_table(trips),
            _assumptions(report.assumptions),
        )
    )
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(picture.title)}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _config() -> dict[str, Any]:
    return {"displaylogo": False, "responsive": True, "scrollZoom": False}


def _time_figure(picture: series.Picture) -> Any:
    """Stack equity, drawdown and one panel per coin over one shared time axis."""
    from plotly.subplots import make_subplots

    heights = [_EQUITY_PX, _DRAWDOWN_PX, *[_COIN_PX] * len(picture.coins)]
    total = sum(heights) + _GAP_PX * (len(heights) - 1)
    figure = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=True,
        row_heights=[height / sum(heights) for height in heights],
        vertical_spacing=_GAP_PX / total,
        subplot_titles=[
            "Equity, USDC",
            "Drawdown, %",
            *(f"{escape(coin.coin)}, USDC" for coin in picture.coins),
        ],
    )
    _add_line(figure, picture.equity, "equity", 1, color=series.EQUITY_COLOUR, width=1.6)
    figure.add_hline(picture.equity_start, row=1, col=1, line_dash="dot", line_color="#9AA3AB")
    _add_line(
        figure,
        picture.drawdown,
        "drawdown",
        2,
        color=series.DRAWDOWN_COLOUR,
        width=1.0,
        fill="tozeroy",
    )
    for row, coin in enumerate(picture.coins, start=3):
        _add_line(figure, coin.price, coin.coin, row, color=series.PRICE_COLOUR, width=1.1)
        for is_long in (True, False):
            chosen = [trip for trip in coin.trips if trip.is_long is is_long]
            _add_trips(figure, chosen, row, is_long=is_long, is_first=row == 3)
    _style(figure, height=total + 110)
    figure.update_annotations(x=0, xanchor="left")
    figure.update_xaxes(showticklabels=True, hoverformat="%Y-%m-%d %H:%M:%S")
    if len(picture.equity.times) > 1:
        # Markers would otherwise push the axis out beyond the session.
        first, last = picture.equity.times[[0, -1]].astype(str)
        figure.update_xaxes(range=[first, last])
    return figure


def _add_line(
    figure: Any,
    line: series.Line,
    name: str,
    row: int,
    *,
    color: str,
    width: float,
    fill: str | None = None,
) -> None:
    figure.add_scatter(
        x=line.times.astype(str),
        y=np.round(line.values, 6),
        name=name,
        mode="lines",
        line={"color": color, "width": width},
        fill=fill,
        showlegend=False,
        hovertemplate="%{y:,.6~g}<extra></extra>",
        row=row,
        col=1,
    )


def _add_trips(
    figure: Any, trips: Sequence[RoundTrip], row: int, *, is_long: bool, is_first: bool
) -> None:
    """Add entries, exits and the lines between them; one legend serves all panels."""
    colour = series.LONG_COLOUR if is_long else series.SHORT_COLOUR
    name, shape_in, shape_out = (
        ("long", "triangle-up", "circle-open")
        if is_long
        else ("short", "triangle-down", "square-open")
    )
    closed = [t for t in trips if t.close_ns is not None and t.exit_price is not None]
    figure.add_scatter(
        x=[text for t in closed for text in (_stamp(t.open_ns), _stamp(t.close_ns), None)],
        y=[px for t in closed for px in (t.entry_price, t.exit_price, None)],
        mode="lines",
        line={"color": colour, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=1,
    )
    for label, shown, stamps, prices, shape, size in (
        ("enter", trips, [t.open_ns for t in trips], [t.entry_price for t in trips], shape_in, 11),
        (
            "leave",
            closed,
            [t.close_ns for t in closed],
            [t.exit_price for t in closed],
            shape_out,
            8,
        ),
    ):
        figure.add_scatter(
            x=[_stamp(ns) for ns in stamps],
            y=prices,
            text=[_trip_text(trip) for trip in shown],
            name=f"{label} {name}",
            legendgroup=f"{label} {name}",
            showlegend=is_first,
            mode="markers",
            marker={
                "symbol": shape,
                "size": size,
                "color": colour,
                "line": {
                    "width": 1.6 if label == "leave" else 1,
                    "color": colour if label == "leave" else "white",
                },
            },
            hovertemplate="%{text}<extra></extra>",
            row=row,
            col=1,
        )


def _bar_figure(picture: series.Picture) -> Any:
    from plotly.subplots import make_subplots

    sides = (picture.bars_strategy, picture.bars_coin)
    figure = make_subplots(
        rows=1,
        cols=2,
        subplot_titles=("Result by strategy, USDC", "Result by coin, USDC"),
        horizontal_spacing=0.14,
    )
    for col, bars in enumerate(sides, start=1):
        labels = [escape(bar.label) for bar in bars]
        for part, colour in series.BAR_COLOURS.items():
            figure.add_bar(
                x=[bar.parts[part] for bar in bars],
                y=labels,
                orientation="h",
                name=part.lower(),
                legendgroup=part,
                showlegend=col == 1,
                marker_color=colour,
                hovertemplate=f"{part.lower()} %{{x:+,.2f}} USDC<extra></extra>",
                row=1,
                col=col,
            )
        figure.add_scatter(
            x=[bar.net for bar in bars],
            y=labels,
            mode="markers",
            name="net",
            legendgroup="net",
            showlegend=col == 1,
            marker={"symbol": "diamond", "size": 10, "color": _TEXT},
            hovertemplate="net %{x:+,.2f} USDC<extra></extra>",
            row=1,
            col=col,
        )
    _style(figure, height=170 + 36 * max(len(bars) for bars in sides))
    figure.update_layout(barmode="relative", bargap=0.38, hovermode="closest")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(zeroline=True, zerolinecolor="#9AA3AB")
    return figure


def _style(figure: Any, *, height: int) -> None:
    figure.update_layout(
        height=height,
        template="plotly_white",
        font={"family": _FONT, "size": 13, "color": _TEXT},
        margin={"l": 78, "r": 18, "t": 70, "b": 30},
        hovermode="x",
        legend={
            "orientation": "h",
            "x": 0.0,
            "xanchor": "left",
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
        },
    )
    figure.update_annotations(font_size=14)
    figure.update_xaxes(gridcolor=_GRID, showline=True, linecolor="#C5CBD0")
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, tickformat=",~r")


def _cards(rows: Sequence[SummaryRow]) -> str:
    groups: dict[str, list[SummaryRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    cards = (
        f'<div class="card"><h3>{escape(group)}</h3>'
        f"<table>{''.join(map(_card_line, members))}</table></div>"
        for group, members in groups.items()
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _card_line(row: SummaryRow) -> str:
    """Put a short unit beside its number and a long one below it."""
    is_long = len(row.unit) > _UNIT_LENGTH_MAX
    line = (
        f'<tr><td>{escape(row.label)}</td><td class="{_tone(row.sign)}">{escape(row.value)}</td>'
        f"<td>{'' if is_long else escape(row.unit)}</td></tr>"
    )
    return line + (f'<tr><td colspan="3" class="below">{escape(row.unit)}</td></tr>' * is_long)


def _tables(tables: dict[str, tuple[TableRow, ...]]) -> str:
    parts = []
    for title, rows in tables.items():
        head = "".join(f"<th>{escape(text)}</th>" for text in _cells(TABLE_HEAD))
        lines = []
        for row in rows:
            first, net, *others = _cells(row)
            is_total = row is rows[-1]
            lines.append(
                f"<tr{' class=total' if is_total else ''}><td>{escape(first)}</td>"
                f'<td class="{_tone(row.sign)}">{escape(net)}</td>'
                + "".join(f"<td>{escape(text)}</td>" for text in others)
                + "</tr>"
            )
        parts.append(
            f"<div><h2>{escape(title)}</h2><table><tr>{head}</tr>{''.join(lines)}</table></div>"
        )
    return f'<div class="tables">{"".join(parts)}</div>'


def _cells(row: TableRow) -> tuple[str, ...]:
    key = row.key.replace("_", " ")
    return (key, row.net, row.price, row.fees, row.funding, row.traded, row.trades, row.win_rate)


def _trip_table(trips: Sequence[RoundTrip]) -> str:
    if not trips:
        return "<h2>Round trips</h2><p>None: the session did not trade.</p>"
    head = "".join(
        f"<th>{text}</th>"
        for text in (
            "Opened", "Held", "Coin", "Side", "Strategy", "Regime", "Size", "Entry", "Exit",
            "Left by", "Fees", "Funding", "Net",
        )
    )  # fmt: skip
    lines = "".join(_trip_line(trip) for trip in trips[-_TRIPS_LISTED_MAX:])
    note = ""
    if len(trips) > _TRIPS_LISTED_MAX:
        note = f'<p class="note">The last {_TRIPS_LISTED_MAX} of {len(trips):,}.</p>'
    return (
        f'<h2>Round trips</h2>{note}<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'
    )


def _trip_line(trip: RoundTrip) -> str:
    held = "open" if trip.close_ns is None else duration_text(trip.close_ns - trip.open_ns)
    texts = (
        utc_text(trip.open_ns),
        held,
        trip.coin,
        "long" if trip.is_long else "short",
        trip.strategy.replace("_", " "),
        trip.regime.value,
        f"{trip.coins_max:,.8g}",
        f"{trip.entry_price:,.8g}",
        "–" if trip.exit_price is None else f"{trip.exit_price:,.8g}",
        trip.exit_purpose or "–",
        money_text(-trip.fees_micro),
        money_text(trip.funding_micro),
    )
    net = trip.net_pnl_micro
    tone = _tone((net > 0) - (net < 0))
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f'<tr>{cells}<td class="{tone}">{money_text(net)}</td></tr>'


def _trip_text(trip: RoundTrip) -> str:
    held = "open" if trip.close_ns is None else duration_text(trip.close_ns - trip.open_ns)
    exit_text = "" if trip.exit_price is None else f" → {trip.exit_price:,.8g}"
    return (
        f"{'long' if trip.is_long else 'short'} {trip.coins_max:,.8g} {escape(trip.coin)}, "
        f"{escape(trip.strategy.replace('_', ' '))}<br>{trip.entry_price:,.8g}{exit_text} "
        f"({held})<br>net {money_text(trip.net_pnl_micro)} USDC"
    )


def _left_out_note(picture: series.Picture) -> str:
    notes = [
        f"{coin.coin}: {coin.trips_left_out:,} smaller round trips are not drawn"
        for coin in picture.coins
        if coin.trips_left_out
    ]
    if picture.coins_left_out:
        notes.append(f"coins that traded less, not drawn: {', '.join(picture.coins_left_out)}")
    return f'<p class="note">{escape("; ".join(notes))}</p>' if notes else ""


def _assumptions(assumptions: Sequence[str]) -> str:
    if not assumptions:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in assumptions)
    return f"<h2>What the simulation assumed</h2><ul>{items}</ul>"


def _tone(sign: int) -> str:
    return "gain" if sign > 0 else "loss" if sign < 0 else ""


def _stamp(ns: int | None) -> str | None:
    return None if ns is None else utc_text(ns)
