"""Everything at once, seed by seed; see ``whole_venue.py``."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.whole_venue import run


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_nothing_is_lost_whatever_happens_and_it_happens_again(seed: int) -> None:
    whole = run(seed, 120)
    assert whole.repeat_hash() == whole.venue.state_hash()


@pytest.mark.slow
def test_a_long_life() -> None:
    whole = run(20_261_124, 3_000)
    assert whole.repeat_hash() == whole.venue.state_hash()
    assert len(whole.counts) > 20, whole.counts
