"""The vectorised grid agrees with the instrument's own rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.model.instrument import Instrument
from core.simulation.market.price_grid import (
    ceil_on_grid,
    floor_on_grid,
    nearest_on_grid,
    tick_units,
)

instruments = st.integers(0, 5).map(lambda d: Instrument(coin="X", asset=0, sz_decimals=d))
prices = st.one_of(
    st.integers(1, 10**13),
    st.integers(0, 12).flatmap(lambda e: st.integers(-2, 2).map(lambda d: max(1, 10**e + d))),
)


@given(instrument=instruments, px=prices)
def test_tick_is_the_instruments(instrument: Instrument, px: int) -> None:
    assert int(tick_units(np.array([px]), instrument.px_scale)[0]) == instrument.tick_units_at(px)


@given(instrument=instruments, px=prices)
def test_rounding_lands_on_the_grid_and_brackets(instrument: Instrument, px: int) -> None:
    scale = instrument.px_scale
    floor = int(floor_on_grid(np.array([px]), scale)[0])
    ceil = int(ceil_on_grid(np.array([px]), scale)[0])
    assert floor <= px <= ceil
    for value in (floor, ceil):
        assert value == 0 or instrument.is_px_on_grid(value)
    near = int(nearest_on_grid(np.array([px / scale]), scale)[0])
    assert instrument.is_px_on_grid(near)
    assert abs(near - px) <= instrument.tick_units_at(near)
