"""The path inside a bar follows its stated rule and rebuilds the bar exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.simulation.market.intrabar import Bars, walk_bars, waypoint_indices

MINUTE_NS = 60_000_000_000


def bars_of(rows: list[tuple[int, int, int, int, int]]) -> Bars:
    columns = np.array(rows, dtype=np.int64).T
    open_ns = np.arange(len(rows), dtype=np.int64) * MINUTE_NS
    return Bars(open_ns, *columns)


@st.composite
def bar(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Open, high, low, close on BTC's grid of ten units, and lots."""
    open_, close = draw(st.integers(90_000, 110_000)), draw(st.integers(90_000, 110_000))
    high = max(open_, close) + draw(st.integers(0, 50))
    low = min(open_, close) - draw(st.integers(0, 50))
    return open_ * 10, high * 10, low * 10, close * 10, draw(st.integers(0, 10_000))


@given(
    rows=st.lists(bar(), min_size=1, max_size=5), ticks=st.integers(4, 40), seed=st.integers(0, 99)
)
def test_path_rebuilds_the_bar(
    rows: list[tuple[int, int, int, int, int]], ticks: int, seed: int
) -> None:
    bars = bars_of(rows)
    paths = walk_bars(
        bars, interval_ns=MINUTE_NS, px_scale=10, ticks=ticks, rng=np.random.default_rng(seed)
    )
    assert (paths.lots.sum(axis=1) == bars.lots).all()
    assert (paths.lots >= 0).all()
    assert (paths.px[:, 0] == bars.open).all()
    assert (paths.px[:, -1] == bars.close).all()
    assert (paths.px.max(axis=1) == bars.high).all()
    assert (paths.px.min(axis=1) == bars.low).all()
    assert (paths.px % 10 == 0).all()
    assert (np.diff(paths.ts_ns.ravel()) > 0).all()
    assert (paths.ts_ns >= bars.open_ns[:, None]).all()
    assert (paths.ts_ns < bars.open_ns[:, None] + MINUTE_NS).all()


@pytest.mark.parametrize(
    ("row", "first"),
    [
        ((1000, 1200, 900, 1100, 9), 900),  # the low is nearer
        ((1000, 1100, 700, 900, 9), 1100),  # the high is nearer
        ((1000, 1100, 900, 1050, 9), 900),  # a tie in a rising bar hurts the long first
        ((1000, 1100, 900, 950, 9), 1100),  # a tie in a falling bar hurts the short first
    ],
)
def test_nearer_extreme_comes_first(row: tuple[int, int, int, int, int], first: int) -> None:
    paths = walk_bars(
        bars_of([row]), interval_ns=MINUTE_NS, px_scale=10, ticks=4, rng=np.random.default_rng(1)
    )
    assert paths.px[0, 1] == first
    assert paths.px[0, 2] == (row[1] + row[2] - first)


@given(lots=st.integers(1, 3))
def test_scarce_volume_prints_at_the_corners_first(lots: int) -> None:
    paths = walk_bars(
        bars_of([(1000, 1100, 900, 1050, lots)]),
        interval_ns=MINUTE_NS,
        px_scale=10,
        ticks=10,
        rng=np.random.default_rng(0),
    )
    corners = waypoint_indices(10)
    assert [int(paths.lots[0, k]) for k in corners[:lots]] == [1] * lots
    assert int(paths.lots.sum()) == lots
