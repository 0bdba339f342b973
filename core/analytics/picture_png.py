"""Draw a session as one PNG with Matplotlib, without a display.

Knows how things look; what is shown was decided in `core.analytics.series`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.analytics import series
from core.analytics.report import RoundTrip

WIDTH_INCH = 14.0
DPI = 110
_GRID = "#E6E9EC"
_TEXT = "#1B2733"
_FAINT = "#6B7680"
_EQUITY_INCH, _DRAWDOWN_INCH, _COIN_INCH = 3.2, 1.25, 2.3
_HEAD_INCH, _GAP_INCH, _BOTTOM_INCH = 1.15, 0.5, 0.55
_BAR_INCH = 0.34
_LEFT_INCH, _RIGHT_INCH = 1.0, 0.35


def draw_png(picture: series.Picture, path: Path) -> None:
    """Write the picture of a session; the height follows the number of coins.

    Uses Matplotlib's object interface with the Agg canvas, so neither a display nor the global
    state of ``pyplot`` is touched.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bar_count = max(len(picture.bars_strategy), len(picture.bars_coin))
    bars_inch = 0.5 + _BAR_INCH * bar_count
    heights = [_EQUITY_INCH, _DRAWDOWN_INCH, *[_COIN_INCH] * len(picture.coins), bars_inch]
    # The two time panels of equity belong together; the bars need room for a title of their own.
    gaps = [_HEAD_INCH, 0.42, *[_GAP_INCH] * len(picture.coins), 0.95]
    total = sum(heights) + sum(gaps) + _BOTTOM_INCH
    figure = Figure(figsize=(WIDTH_INCH, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    top, panels = total, list[Any]()
    for height, gap in zip(heights[:-1], gaps[:-1], strict=True):
        top -= gap + height
        share = panels[0] if panels else None
        panels.append(figure.add_axes(_box(top, height, total), sharex=share))
    _draw_head(figure, picture, total)
    _draw_equity(panels[0], panels[1], picture)
    for axes, coin in zip(panels[2:], picture.coins, strict=True):
        _draw_coin(axes, coin)
    for axes in panels:
        _style_time_axis(axes, is_labelled=axes is not panels[0])
    _draw_bars(figure, picture, bottom=_BOTTOM_INCH / total, height=bars_inch / total)
    figure.savefig(path, format="png", metadata={"Title": picture.title})


def _box(bottom: float, height: float, total: float) -> tuple[float, float, float, float]:
    width = WIDTH_INCH - _LEFT_INCH - _RIGHT_INCH
    return _LEFT_INCH / WIDTH_INCH, bottom / total, width / WIDTH_INCH, height / total


def _draw_head(figure: Any, picture: series.Picture, total: float) -> None:
    x = _LEFT_INCH / WIDTH_INCH
    figure.text(x, 1 - 0.42 / total, picture.title, size=15, weight="bold", color=_TEXT)
    figure.text(x, 1 - 0.74 / total, picture.subtitle, size=11, color=_FAINT)


def _draw_equity(equity: Any, drawdown: Any, picture: series.Picture) -> None:
    _style(equity, "Equity, USDC")
    _style(drawdown, "Drawdown, %")
    line = picture.equity
    equity.plot(line.times, line.values, color=series.EQUITY_COLOUR, linewidth=1.3)
    equity.axhline(picture.equity_start, color=_FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    equity.yaxis.set_major_formatter(_thousands())
    drawdown.fill_between(
        picture.drawdown.times,
        picture.drawdown.values,
        0.0,
        color=series.DRAWDOWN_COLOUR,
        alpha=0.45,
        linewidth=0,
    )
    deepest = float(np.min(picture.drawdown.values, initial=0.0))
    drawdown.set_ylim(min(1.15 * deepest, -0.01), 0.0)


def _draw_coin(axes: Any, coin: series.CoinPicture) -> None:
    title = f"{coin.coin}, USDC"
    _style(axes, title)
    axes.plot(coin.price.times, coin.price.values, color=series.PRICE_COLOUR, linewidth=0.9)
    axes.yaxis.set_major_formatter(_thousands())
    size = 7.0 if len(coin.trips) <= 80 else 5.0 if len(coin.trips) <= 300 else 3.5
    for is_long in (True, False):
        trips = [trip for trip in coin.trips if trip.is_long is is_long]
        _draw_trips(axes, trips, is_long=is_long, size=size)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=_FAINT,
        handletextpad=0.3,
        columnspacing=1.4,
        borderaxespad=0.1,
    )
    if coin.trips_left_out:
        note = f"{coin.trips_left_out:,} smaller round trips not drawn"
        axes.text(0.0, 1.02, note, transform=axes.transAxes, size=9, color=_FAINT)


def _draw_trips(axes: Any, trips: Sequence[RoundTrip], *, is_long: bool, size: float) -> None:
    """Draw entries as filled triangles, exits as hollow shapes, and lines between them."""
    colour = series.LONG_COLOUR if is_long else series.SHORT_COLOUR
    name, shape_in, shape_out = ("long", "^", "o") if is_long else ("short", "v", "s")
    closed = [t for t in trips if t.close_ns is not None and t.exit_price is not None]
    # One line with holes draws a thousand trips as fast as one.
    stamps = [ns for t in closed for ns in (t.open_ns, t.close_ns, t.close_ns)]
    prices = [px for t in closed for px in (t.entry_price, t.exit_price, None)]
    axes.plot(
        _times(stamps),
        np.array(prices, dtype=np.float64),
        color=colour,
        linewidth=1.0,
        alpha=0.55,
        linestyle=(0, (2, 1.5)),
    )
    common = {"linestyle": "none", "markersize": size, "markeredgewidth": 1.1, "zorder": 4}
    axes.plot(
        _times([t.open_ns for t in trips]),
        [t.entry_price for t in trips],
        marker=shape_in,
        color=colour,
        markeredgecolor="white",
        label=f"enter {name}",
        **{**common, "markersize": size + 1.5, "markeredgewidth": 0.7},
    )
    axes.plot(
        _times([t.close_ns for t in closed]),
        [t.exit_price for t in closed],
        marker=shape_out,
        markerfacecolor="white",
        markeredgecolor=colour,
        label=f"leave {name}",
        **{**common, "markersize": size - 1.0},
    )


def _draw_bars(figure: Any, picture: series.Picture, *, bottom: float, height: float) -> None:
    left, width = _LEFT_INCH / WIDTH_INCH, (WIDTH_INCH - _LEFT_INCH - _RIGHT_INCH) / WIDTH_INCH
    label_room, half = 0.06, width / 2
    for i, (title, bars) in enumerate(
        (
            ("Result by strategy, USDC", picture.bars_strategy),
            ("Result by coin, USDC", picture.bars_coin),
        )
    ):
        box = (left + label_room + i * half, bottom, half - label_room - 0.02, height)
        axes = figure.add_axes(box)
        _style(axes, title)
        axes.grid(visible=False, axis="y")
        _draw_bar_stacks(axes, bars)
        if i == 0:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0.42, 1.0),
                ncols=4,
                frameon=False,
                fontsize=9,
                labelcolor=_FAINT,
                handlelength=1.0,
                columnspacing=1.2,
            )


def _draw_bar_stacks(axes: Any, bars: Sequence[series.Bar]) -> None:
    """Stack gains to the right and costs to the left of zero; a diamond marks what remains."""
    rows = np.arange(len(bars))[::-1]
    right, left = np.zeros(len(bars)), np.zeros(len(bars))
    for part, colour in series.BAR_COLOURS.items():
        values = np.array([bar.parts[part] for bar in bars])
        starts = np.where(values >= 0.0, right, left)
        axes.barh(rows, values, left=starts, height=0.62, color=colour, label=part.lower())
        right, left = right + np.maximum(values, 0.0), left + np.minimum(values, 0.0)
    nets = [bar.net for bar in bars]
    axes.plot(nets, rows, "D", color=_TEXT, markersize=5.5, label="net", zorder=5)
    reach = max(float(np.max(right, initial=0.0)), -float(np.min(left, initial=0.0)), 0.01)
    low, high = float(np.min(left, initial=0.0)), float(np.max(right, initial=0.0))
    axes.set_xlim(low - 0.06 * reach, high + 0.30 * reach)
    for row, end, net in zip(rows, right, nets, strict=True):
        axes.text(
            max(end, net) + 0.04 * reach, row, f"{net:+,.2f}", va="center", size=9.5, color=_TEXT
        )
    axes.axvline(0.0, color=_FAINT, linewidth=0.8)
    axes.set_yticks(rows, [bar.label for bar in bars])
    axes.xaxis.set_major_formatter(_thousands())


def _style(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", size=11, color=_TEXT, weight="bold", pad=6)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, labelsize=9.5, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#C5CBD0")


def _style_time_axis(axes: Any, *, is_labelled: bool) -> None:
    from matplotlib import dates

    library: Any = dates  # its classes carry no types
    locator = library.AutoDateLocator(minticks=6, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(library.ConciseDateFormatter(locator, show_offset=False))
    axes.margins(x=0.01)
    axes.tick_params(axis="x", labelbottom=is_labelled)


def _thousands() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:,.6g}" if abs(value) < 1e5 else f"{value:,.0f}")


def _times(stamps_ns: Sequence[int | None]) -> series.TimeArray:
    return np.array(stamps_ns, dtype=np.int64).astype("datetime64[ns]").astype("datetime64[s]")
