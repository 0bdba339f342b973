"""A position is protected whatever else is missing."""

from __future__ import annotations

import pytest

from tests.engines.fakes import PX, Floor


@pytest.mark.parametrize("lots", [300, -300])
def test_an_adopted_position_has_a_stop_even_without_any_history(lots: int) -> None:
    floor = Floor().start(positions={"BTC": lots}, has_history=False)
    (stop,) = floor.working("stop")
    assert stop.lots == abs(lots) and stop.reduce_only
    assert stop.is_buy is (lots < 0)
    distance = abs(stop.trigger.trigger_px - PX) / PX
    assert distance == pytest.approx(0.03, abs=0.001)
    assert (stop.trigger.trigger_px < PX) is (lots > 0)
