"""Ids, times and the tagged words that go to disk."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Purpose, Tif, TriggerKind
from core.model.commands import CancelOrder, Command, ModifyOrder, PlaceOrder, Trigger
from core.model.events import AnyEvent, BboChanged, Event, TimerTicked
from core.model.ids import (
    STRATEGY_MANUAL,
    is_address,
    is_cloid,
    is_engine_cloid,
    order_cloid,
)
from core.model.time import (
    NS_PER_DAY,
    NS_PER_MIN,
    NS_PER_S,
    duration_text,
    interval_ns,
    ns_from_seconds,
    utc_day,
    utc_text,
)

ACCOUNT = "0x" + "a1" * 20


@given(st.integers(0, 2**63), st.integers(0, 50))
def test_a_cloid_is_a_pure_function_of_its_intent(intent_seq: int, leg: int) -> None:
    cloid = order_cloid(ACCOUNT, "scalping", intent_seq, leg)
    assert is_cloid(cloid)
    assert cloid == order_cloid(ACCOUNT, "scalping", intent_seq, leg)
    assert cloid != order_cloid(ACCOUNT, "scalping", intent_seq, leg + 1)
    assert cloid != order_cloid(ACCOUNT, "scalping", intent_seq + 1, leg)
    assert cloid != order_cloid(ACCOUNT, "grid_trading", intent_seq, leg)


def test_a_known_cloid_stays_what_it_was() -> None:
    # Journals of older versions are replayed: the derivation must never change.
    assert order_cloid(ACCOUNT, "scalping", 1, 0) == "0xf9de994019e8b1791cfc24170e16e65a"


@given(st.integers(0, 2**63), st.sampled_from(["scalping", "grid_trading", ""]))
def test_an_engines_cloid_is_known_without_remembering_it(intent_seq: int, strategy: str) -> None:
    cloid = order_cloid(ACCOUNT, strategy, intent_seq, 0)
    assert is_engine_cloid(ACCOUNT, cloid)
    assert not is_engine_cloid("0x" + "b2" * 20, cloid), "of another account"


@given(st.integers(0, 2**63))
def test_an_order_by_hand_is_not_the_engines(seq: int) -> None:
    assert is_cloid(order_cloid(ACCOUNT, STRATEGY_MANUAL, seq, 0))
    assert not is_engine_cloid(ACCOUNT, order_cloid(ACCOUNT, STRATEGY_MANUAL, seq, 0))
    assert not is_engine_cloid(ACCOUNT, None)


@pytest.mark.parametrize(
    "text", ["", "0x", ACCOUNT.upper(), ACCOUNT + "0", "a1" * 21, "0x" + "g" * 40]
)
def test_no_address(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize("text", ["1m", "3m", "15m", "1h", "4h", "1d", "1w"])
def test_intervals(text: str) -> None:
    unit = {"m": NS_PER_MIN, "h": 60 * NS_PER_MIN, "d": NS_PER_DAY, "w": 7 * NS_PER_DAY}[text[-1]]
    assert interval_ns(text) == int(text[:-1]) * unit


@pytest.mark.parametrize("text", ["", "m", "0m", "1", "-1m", "1.5h", "1M", "1s"])
def test_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match="should read like 1m, 4h or 1d"):
        interval_ns(text)


def test_times_for_people() -> None:
    assert utc_text(1_746_403_200 * NS_PER_S) == "2025-05-05 00:00:00"
    assert utc_day(NS_PER_DAY) - utc_day(NS_PER_DAY - 1) == 1
    assert duration_text(350_000_000) == "350 ms"
    assert duration_text(12 * NS_PER_S) == "12.0 s"
    assert duration_text(245 * NS_PER_S) == "4 min 05 s"
    assert duration_text(200 * NS_PER_MIN) == "3 h 20 min"
    assert ns_from_seconds(1e-6) == 1_000


def test_every_event_survives_the_disk() -> None:
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(AnyEvent)
    bbo = BboChanged(coin="BTC", bid_px=1, bid_lots=2, ask_px=3, ask_lots=4, seq=9, ts_recv_ns=8)
    for event in (bbo, TimerTicked(seq=10)):
        assert decoder.decode(encoder.encode(event)) == event
    # A union member that were forgotten could be written, but never read again.
    known = {member.__name__ for member in AnyEvent.__args__}
    assert known == {kind.__name__ for kind in Event.__subclasses__()}


def test_every_command_survives_the_disk() -> None:
    order = PlaceOrder(
        "0x" + "1" * 32,
        "BTC",
        0,
        True,
        970_000,
        100,
        Tif.GTC,
        True,
        Trigger(TriggerKind.STOP_LOSS, 960_000),
        Purpose.STOP,
        "scalping",
        1_940_001,
    )
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Command)
    for command in (
        order,
        ModifyOrder(order.cloid, 7, order),
        CancelOrder(order.cloid, 7, "BTC", 0),
    ):
        assert decoder.decode(encoder.encode(command)) == command
