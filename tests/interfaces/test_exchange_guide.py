"""The guide to the local exchange names all that is served, by the code's own tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.api.actions import UserAction
from core.model.codes import Grouping
from core.simulation import server
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SampleSource
from core.simulation.wire import exchange_desk, info_desk, subscriptions
from core.simulation.wire.board import MarketBoard

GUIDE = (Path(__file__).parents[2] / "docs" / "EXCHANGE.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def venue() -> tuple[SimulatedExchange, MarketBoard]:
    source = SampleSource(["BTC"])
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    return exchange, MarketBoard(source, exchange)


def test_every_query_is_named(venue: tuple[SimulatedExchange, MarketBoard]) -> None:
    types = info_desk.InfoDesk(*venue).types
    assert [name for name in sorted(types) if f"`{name}`" not in GUIDE] == []


def test_every_action_is_named(venue: tuple[SimulatedExchange, MarketBoard]) -> None:
    kinds = list(exchange_desk.ExchangeDesk(venue[0])._handlers)
    tags = {str(kind.__struct_config__.tag) for kind in kinds}  # type: ignore[attr-defined]
    assert any(issubclass(kind, UserAction) for kind in kinds)
    assert [tag for tag in sorted(tags | set(Grouping)) if f"`{tag}`" not in GUIDE] == []


def test_every_channel_is_named() -> None:
    channels = subscriptions.COIN_CHANNELS | subscriptions.USER_CHANNELS
    channels |= {"allMids", "l2Book", "candle"}
    assert [name for name in sorted(channels) if f"`{name}`" not in GUIDE] == []


def test_every_option_is_named() -> None:
    options = {name for action in server._parser()._actions for name in action.option_strings}
    assert [name for name in sorted(options - {"-h", "--help"}) if f"`{name}" not in GUIDE] == []
