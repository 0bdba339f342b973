"""Every strategy has an honest page, and the page names every parameter with its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import core.strategies
from core.model.settings import StrategiesConfig
from core.strategies import TradingStrategy, default_strategies

DOCS = Path(core.strategies.__file__).parent / "docs"


def shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(value)
    return str(value) or "empty"


@pytest.mark.parametrize("strategy", default_strategies(), ids=lambda s: s.name)
def test_the_page_of_a_strategy_is_complete(strategy: TradingStrategy) -> None:
    text = (DOCS / f"{strategy.name}.md").read_text(encoding="utf-8")
    for heading in ("**Idea.**", "**Source.**", "## Parameters", "## When it loses"):
        assert heading in text, heading
    rows = {
        cells[1].strip(" `"): cells[3].strip()
        for line in text.splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) > 3
    }
    params = StrategiesConfig().params_of(strategy.name)
    assert rows == {key: shown(value) for key, value in params.items()}
    if strategy.warm_up_count:
        assert str(strategy.warm_up_count) in text
