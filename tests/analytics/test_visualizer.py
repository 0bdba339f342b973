"""Pictures of a session: complete, small, self-contained, and fast to draw."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics import series
from core.analytics.backtest_visualizer import HTML_NAME, PNG_NAME, BacktestVisualizer
from core.analytics.performance_tracker import PerformanceTracker
from core.model.record import PricePoint, SessionRecord
from tests.analytics.fake_record import START_NS, Books, realistic_record

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
HTML_BYTES_MAX = 6_000_000


def page_without_plotly(path: Path) -> str:
    """Return our own part of the page: plotly.js is one script that we did not write."""
    scripts = re.split(r"(<script.*?</script>)", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return "".join(part for part in scripts if len(part) < 2_000_000)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[SessionRecord, Path]:
    record = realistic_record(7)
    record = msgspec.structs.replace(
        record, session="<script>alert(1)</script>", assumptions=("Fills & <b>queues</b>",)
    )
    directory = tmp_path_factory.mktemp("pictures") / "made" / "here"
    paths = BacktestVisualizer().visualize_backtest(record, directory)
    assert (paths.png, paths.html) == (directory / PNG_NAME, directory / HTML_NAME)
    return record, directory


def test_the_png_is_a_picture(drawn: tuple[SessionRecord, Path]) -> None:
    from matplotlib.image import imread

    path = drawn[1] / PNG_NAME
    assert path.read_bytes().startswith(PNG_MAGIC)
    pixels = imread(path)
    height, width = pixels.shape[:2]
    assert width == 1540
    assert 1_500 < height < 3_000
    colours = {
        tuple(np.round(pixel[:3] * 255).astype(int)) for pixel in pixels[::3, ::3].reshape(-1, 4)
    }
    for name in (series.LONG_COLOUR, series.SHORT_COLOUR, *series.BAR_COLOURS.values()):
        wanted = tuple(int(name[i : i + 2], 16) for i in (1, 3, 5))
        if name != series.BAR_COLOURS["Funding"]:  # too small to be seen in this session
            assert wanted in colours, f"colour {name} is not in the picture"


def test_the_page_is_small_and_loads_nothing(drawn: tuple[SessionRecord, Path]) -> None:
    path = drawn[1] / HTML_NAME
    assert path.stat().st_size < HTML_BYTES_MAX
    text = path.read_text(encoding="utf-8")
    assert "plotly.js v" in text
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=", text)
    assert "http" not in page_without_plotly(path)


def test_the_page_says_what_happened_and_escapes_every_text(
    drawn: tuple[SessionRecord, Path],
) -> None:
    page = page_without_plotly(drawn[1] / HTML_NAME)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Fills &amp; &lt;b&gt;queues&lt;/b&gt;" in page
    for words in ("Net PnL", "Max drawdown", "enter long", "leave short", "Where the money came"):
        assert words in page, words
    report = PerformanceTracker().track_metrics(drawn[0])
    rows = page.split("<h2>Round trips</h2>")[1].count("<tr>")
    assert rows == report.trades.trade_count + 1


def test_a_session_that_did_nothing_is_drawn_too(tmp_path: Path) -> None:
    books = Books()
    books.mark()
    paths = BacktestVisualizer().visualize_backtest(books.record(), tmp_path)
    assert paths.png.read_bytes().startswith(PNG_MAGIC)
    assert "did not trade" in page_without_plotly(paths.html)
    empty = books.record(equity=(), prices={}, fills=(), instruments={})
    BacktestVisualizer().visualize_backtest(empty, str(tmp_path))
    assert paths.png.read_bytes().startswith(PNG_MAGIC)


@pytest.mark.slow
def test_weeks_of_minutes_stay_small(tmp_path: Path) -> None:
    record = realistic_record(1, minutes=20_160, trade_chance=0.03)
    assert len(record.fills) > 2_000
    paths = BacktestVisualizer().visualize_backtest(record, tmp_path)
    assert paths.html.stat().st_size < HTML_BYTES_MAX


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    count_max=st.integers(4, 50),
)
def test_thinning_keeps_ends_extremes_and_order(values: list[float], count_max: int) -> None:
    ts = np.arange(len(values), dtype=np.int64) * 60_000_000_000 + START_NS
    line = series.thinned(ts, np.array(values), count_max)
    assert len(line.values) <= max(len(values) if len(values) <= count_max else 0, count_max + 4)
    assert line.values[0] == values[0]
    assert line.values[-1] == values[-1]
    assert line.values.min() == min(values)
    assert line.values.max() == max(values)
    assert bool(np.all(np.diff(line.times.astype(np.int64)) > 0))
    assert np.datetime_as_string(line.times[0]) == "2025-05-05T00:00:00"


def test_more_coins_than_fit_are_named_and_the_busiest_are_drawn() -> None:
    record = realistic_record(7, minutes=200, trade_chance=0.02)
    instrument = record.instruments["SOL"]
    more = {f"COIN{i}": (PricePoint(START_NS, 1.0 + i),) for i in range(8)}
    record = msgspec.structs.replace(
        record,
        prices={**more, **record.prices},
        instruments={**record.instruments, **dict.fromkeys(more, instrument)},
    )
    report = PerformanceTracker().track_metrics(record)
    picture = series.picture_of(record, report, points_max=100)
    traded = {row.key for row in report.attribution.by_coin}
    assert len(picture.coins) == series.COINS_MAX
    assert traded <= {coin.coin for coin in picture.coins}
    assert len(picture.coins_left_out) == 11 - series.COINS_MAX


def test_bars_add_up_to_the_report() -> None:
    record = realistic_record(7)
    report = PerformanceTracker().track_metrics(record)
    picture = series.picture_of(record, report, points_max=500)
    for bars in (picture.bars_strategy, picture.bars_coin):
        total, *rest = bars
        assert total.net == pytest.approx(report.net_pnl_micro / 1e6)
        assert sum(bar.net for bar in rest) == pytest.approx(total.net)
        for bar in bars:
            assert sum(bar.parts.values()) == pytest.approx(bar.net)
