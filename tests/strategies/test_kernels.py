"""Kernels against their slow twins, and the arithmetic they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.strategies import kernels
from tests.reference import strategies as slow

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from((-1.0, 0.0, 1.0))
NAN = math.nan


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    kernels.warm_up()


def walk(seed: int, count: int, sigma: float = 0.002, start: float = 100.0) -> np.ndarray:
    """Make a seeded random walk with a pull to its start, so that it excurses and comes back."""
    rng = np.random.default_rng(seed)
    out, value = np.empty(count), 0.0
    for i, step in enumerate(rng.normal(0.0, sigma, count)):
        value = 0.97 * value + step
        out[i] = start * math.exp(value)
    return out


def agree(fast: kernels.Verdict, twin: slow.Verdict) -> None:
    assert (fast.wish, fast.why) == twin[:2]
    np.testing.assert_allclose(
        [fast.stop, fast.target, fast.measure], twin[2:], rtol=1e-9, atol=1e-12
    )


def is_near(value: float, *edges: float) -> bool:
    """Tell whether rounding could put ``value`` on the other side of an edge."""
    return any(abs(value - edge) < 1e-9 for edge in edges)


@given(
    seed=SEEDS,
    count=st.integers(0, 70),
    position=SIDES,
    entry=st.floats(0.0005, 0.01),
    exit_share=st.floats(0.0, 1.2),
    stop_ratio=st.floats(0.1, 4.0),
    target_ratio=st.floats(0.1, 4.0),
    jump=st.floats(-0.03, 0.03),
    hole=st.integers(0, 400),
)
@settings(max_examples=400, deadline=None)
def test_scalping_does_what_its_twin_does(
    seed: int,
    count: int,
    position: float,
    entry: float,
    exit_share: float,
    stop_ratio: float,
    target_ratio: float,
    jump: float,
    hole: int,
) -> None:
    closes = walk(seed, count)
    if hole < count:
        closes[hole] = NAN
    price = (closes[-1] if count and hole != count - 1 else 100.0) * (1.0 + jump)
    args = (entry, entry * exit_share, entry * stop_ratio, entry * target_ratio, 0.00138)
    twin = slow.scalping(list(closes), price, position, *args)
    assume(not is_near(abs(twin[4]), args[0], args[1], args[0] + args[2], args[1] + args[4]))
    agree(kernels.scalping_nb(closes, price, position, *args), twin)


@given(
    seed=SEEDS,
    count=st.integers(0, 90),
    position=SIDES,
    lookback=st.integers(5, 40),
    entry_z=st.floats(0.1, 4.0),
    exit_z=st.floats(0.0, 2.0),
    stop_z=st.floats(0.1, 60.0),
    jump=st.floats(-0.02, 0.02),
    hole=st.integers(0, 500),
    is_constant=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_mean_reversion_does_what_its_twin_does(
    seed: int,
    count: int,
    position: float,
    lookback: int,
    entry_z: float,
    exit_z: float,
    stop_z: float,
    jump: float,
    hole: int,
    is_constant: bool,
) -> None:
    closes = np.full(count, 100.0) if is_constant and seed % 8 == 0 else walk(seed, count)
    if hole < count:
        closes[hole] = NAN
    price = (closes[-1] if count and hole != count - 1 else 100.0) * (1.0 + jump)
    args = (lookback, entry_z, exit_z, stop_z, 0.00138)
    twin = slow.mean_reversion(list(closes), price, position, *args)
    assume(not is_near(abs(twin[4]), entry_z, exit_z, entry_z + stop_z))
    agree(kernels.mean_reversion_nb(closes, price, position, *args), twin)


@given(
    seed=SEEDS,
    count=st.integers(0, 120),
    drift=st.sampled_from((-0.002, -0.0005, 0.0, 0.0005, 0.002)),
    position=SIDES,
    fast=st.integers(2, 15),
    slow_extra=st.integers(1, 25),
    channel=st.integers(2, 30),
    stop_atrs=st.floats(0.2, 6.0),
    target_ratio=st.floats(0.2, 6.0),
    jump=st.floats(-0.01, 0.01),
    hole=st.integers(0, 600),
)
@settings(max_examples=400, deadline=None)
def test_trend_following_does_what_its_twin_does(
    seed: int,
    count: int,
    drift: float,
    position: float,
    fast: int,
    slow_extra: int,
    channel: int,
    stop_atrs: float,
    target_ratio: float,
    jump: float,
    hole: int,
) -> None:
    rng = np.random.default_rng(seed)
    closes = walk(seed, count) * np.exp(drift * np.arange(count))
    highs = closes * (1.0 + np.abs(rng.normal(0.0, 0.001, count)))
    lows = closes * (1.0 - np.abs(rng.normal(0.0, 0.001, count)))
    if hole < count:
        highs[hole] = NAN
    price = (closes[-1] if count else 100.0) * (1.0 + jump)
    entry_price = price * (1.0 - 0.5 * jump) if position else NAN
    args = (
        price,
        position,
        entry_price,
        fast,
        fast + slow_extra,
        channel,
        stop_atrs,
        target_ratio,
        0.25,
        0.00138,
    )
    twin = slow.trend(list(closes), list(highs), list(lows), *args)
    agree(kernels.trend_nb(closes, highs, lows, *args), twin)


GRID = {
    "price": st.floats(0.02, 90_000.0),
    "half_spread": st.floats(0.0, 0.002),
    "step": st.floats(0.001, 0.2),
    "level_count": st.integers(2, 24),
    "lower_share": st.one_of(st.just(NAN), st.floats(0.5, 1.1)),
    "upper_share": st.one_of(st.just(NAN), st.floats(0.9, 2.0)),
}


@given(**GRID)
@settings(max_examples=200, deadline=None)
def test_flat_grid_does_what_its_twin_does(
    price: float,
    half_spread: float,
    step: float,
    level_count: int,
    lower_share: float,
    upper_share: float,
) -> None:
    bid, ask = price * (1 - half_spread), price * (1 + half_spread)
    args = (price, bid, ask, step, level_count, price * lower_share, price * upper_share)
    buys, sells = np.empty(level_count), np.empty(level_count)
    buy_count, sell_count = kernels.grid_flat_nb(*args, buys, sells)
    twin_buys, twin_sells = slow.grid_flat(*args)
    np.testing.assert_allclose(buys[:buy_count], twin_buys, rtol=1e-9)
    np.testing.assert_allclose(sells[:sell_count], twin_sells, rtol=1e-9)
    assert buy_count + sell_count <= level_count


@given(**GRID, side=st.sampled_from((-1.0, 1.0)), entry_share=st.floats(0.8, 1.25))
@settings(max_examples=200, deadline=None)
def test_holding_grid_does_what_its_twin_does(
    price: float,
    half_spread: float,
    step: float,
    level_count: int,
    lower_share: float,
    upper_share: float,
    side: float,
    entry_share: float,
) -> None:
    bid, ask = price * (1 - half_spread), price * (1 + half_spread)
    args = (price, bid, ask, side, price * entry_share, step, level_count)
    bounds = (price * lower_share, price * upper_share, 0.0005)
    adds, takes = np.empty(level_count), np.empty(level_count)
    add_count, take_count, stop = kernels.grid_held_nb(*args, *bounds, adds, takes)
    twin_adds, twin_takes, twin_stop = slow.grid_held(*args, *bounds)
    np.testing.assert_allclose(adds[:add_count], twin_adds, rtol=1e-9)
    np.testing.assert_allclose(takes[:take_count], twin_takes, rtol=1e-9)
    assert stop == pytest.approx(twin_stop, rel=1e-9)


@given(seed=SEEDS, drift=st.sampled_from((0.0, 0.001, -0.001)))
@settings(max_examples=60, deadline=None)
def test_trailing_stop_never_loosens_while_a_position_is_held(seed: int, drift: float) -> None:
    closes = walk(seed, 260) * np.exp(drift * np.arange(260))
    highs, lows = closes * 1.001, closes * 0.999
    stop: dict[float, float] = {}
    for end in range(60, 260):
        c = closes[:end]
        for side in (1.0, -1.0):
            verdict = kernels.trend_nb(
                c, highs[:end], lows[:end], c[-1], side, c[-1], 5, 20, 10, 3.0, 9.0, 0.25, 0.001
            )
            if verdict.why != kernels.WHY_HOLD:
                stop.pop(side, None)  # the position is left here
                continue
            if side in stop:
                assert side * (verdict.stop - stop[side]) >= 0.0
            stop[side] = verdict.stop


def test_a_long_excursion_is_faded_once_and_not_again_after_its_stop() -> None:
    quiet = 100.0 + 0.02 * np.sin(np.arange(60))
    args = (0.0, 0.002, 0.0005, 0.002, 0.003, 0.001)
    first = kernels.scalping_nb(quiet, 99.75, *args)
    assert (first.wish, first.why) == (kernels.WISH_LONG, kernels.WHY_ENTRY)
    fallen = np.append(quiet, [99.75, 99.5])
    again = kernels.scalping_nb(fallen, 99.7, *args)
    assert (again.wish, again.why) == (kernels.WISH_FLAT, kernels.WHY_FALSIFIED)
    calm_again = np.append(fallen, np.full(25, 99.7))
    fresh = kernels.scalping_nb(calm_again, 99.45, *args)
    assert fresh.why == kernels.WHY_ENTRY


def test_kernels_compile_for_the_read_only_arrays_of_the_engine() -> None:
    closes = walk(1, 200)
    closes.flags.writeable = False
    assert kernels.mean_reversion_nb(closes, 100.0, 0.0, 60, 2.0, 0.5, 2.0, 0.001).wish in (0, 1, 2)
