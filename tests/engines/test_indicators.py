"""Every kernel against its slow twin, and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.utils import indicators as kernels
from tests.reference import indicators as twins

N = st.integers(1, 12)
PRICES = st.lists(st.floats(0.5, 2.0).map(lambda v: round(v, 3)), min_size=0, max_size=60)


def arrays(*lists):
    return [np.array(values, dtype=np.float64) for values in lists]


def same(kernel, twin):
    np.testing.assert_allclose(kernel, np.array(twin), rtol=1e-9, atol=1e-9, equal_nan=True)


@st.composite
def candles(draw):
    closes = draw(PRICES)
    size = len(closes)
    reach = st.lists(st.sampled_from([0.0, 0.01, 0.05]), min_size=size, max_size=size)
    highs = [c + r for c, r in zip(closes, draw(reach), strict=True)]
    lows = [c - r for c, r in zip(closes, draw(reach), strict=True)]
    return highs, lows, closes


@pytest.mark.parametrize("name", ["sma", "ema", "rolling_std", "highest", "lowest"])
@settings(max_examples=60, deadline=None)
@given(x=PRICES, n=N)
def test_series_kernels_equal_their_twins(name, x, n):
    same(getattr(kernels, f"{name}_nb")(*arrays(x), n), getattr(twins, name)(x, n))


@settings(max_examples=60, deadline=None)
@given(x=PRICES, n=N)
def test_closes_kernels_equal_their_twins(x, n):
    (closes,) = arrays(x)
    same(kernels.realized_sigma_nb(closes, n), twins.realized_sigma(x, n))
    same(kernels.bollinger_width_nb(closes, n, 2.0), twins.bollinger_width(x, n, 2.0))


@settings(max_examples=100, deadline=None)
@given(data=candles(), n=N)
def test_candle_kernels_equal_their_twins(data, n):
    highs, lows, closes = data
    h, low, c = arrays(highs, lows, closes)
    same(kernels.true_range_nb(h, low, c), twins.true_range(highs, lows, closes))
    same(kernels.atr_nb(h, low, c, n), twins.atr(highs, lows, closes, n))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 14), size=st.integers(0, 80))
def test_adx_equals_its_twin(seed, n, size):
    # Continuous prices: two moves that are equal but for rounding are a matter of taste.
    rng = np.random.default_rng(seed)
    c = 100 + np.cumsum(rng.normal(0, 0.3, size))
    h, low = c + rng.uniform(0, 0.5, size), c - rng.uniform(0, 0.5, size)
    same(kernels.adx_nb(h, low, c, n), twins.adx(list(h), list(low), list(c), n))


@settings(max_examples=100, deadline=None)
@given(x=st.lists(st.sampled_from([math.nan, 1.0, 2.0, 3.0]), max_size=30), n=N)
def test_rank_equals_its_twin(x, n):
    same(kernels.rank_of_last_nb(*arrays(x), n), twins.rank_of_last(x, n))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 79))
def test_hiding_the_future_changes_no_past_value(seed, cut):
    rng = np.random.default_rng(seed)
    c = np.exp(np.cumsum(rng.normal(0, 0.01, 80)))
    h, low = c * 1.01, c * 0.99
    for kernel in (
        lambda h, low, c: kernels.adx_nb(h, low, c, 5),
        lambda h, low, c: kernels.atr_nb(h, low, c, 5),
        lambda h, low, c: kernels.ema_nb(c, 5),
        lambda h, low, c: kernels.realized_sigma_nb(c, 5),
    ):
        whole, part = kernel(h, low, c), kernel(h[:cut], low[:cut], c[:cut])
        np.testing.assert_array_equal(whole[:cut], part)


def test_values_worked_out_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(kernels.sma_nb(x, 2), [math.nan, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(kernels.ema_nb(x, 3), [math.nan, math.nan, 2.0, 3.0])
    np.testing.assert_array_equal(kernels.rolling_std_nb(x, 2), [math.nan, 0.5, 0.5, 0.5])
    h, low, c = np.array([2.0, 6.0]), np.array([1.0, 5.0]), np.array([1.5, 5.5])
    np.testing.assert_array_equal(kernels.true_range_nb(h, low, c), [1.0, 4.5])
    assert kernels.rank_of_last_nb(np.array([1.0, 3.0, 2.0]), 3) == 0.5


def test_a_straight_rise_has_the_highest_adx_and_a_still_market_none():
    c = np.arange(1.0, 61.0)
    assert kernels.adx_nb(c, c, c, 14)[-1] == pytest.approx(100.0)
    still = np.full(60, 5.0)
    assert kernels.adx_nb(still, still, still, 14)[-1] == 0.0


def test_kernels_take_the_read_only_arrays_of_the_engine():
    kernels.warm_up()
    x = np.arange(1.0, 30.0)
    x.flags.writeable = False
    assert kernels.sma_nb(x, 29)[-1] == 15.0
