"""Units become text: signs, unknowns, and texts that must not reach a terminal as they are."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.interfaces import text as t


@pytest.mark.parametrize(
    ("micro", "signed", "expected"),
    [
        (10_012_345_678, False, "10,012.35"),
        (12_340_000, True, "+12.34"),
        (-12_340_000, True, "−12.34"),
        (0, True, "0.00"),
        (-4_000, True, "0.00"),
    ],
)
def test_money_carries_a_sign_only_where_there_is_something(
    micro: int, signed: bool, expected: str
) -> None:
    assert t.money_text(micro, signed=signed) == expected


def test_narrow_money_drops_cents_from_a_thousand() -> None:
    assert t.money_short_text(999_990_000) == "+999.99"
    assert t.money_short_text(-1_234_560_000) == "−1,235"


@pytest.mark.parametrize(
    ("price", "sz_decimals", "expected"),
    [
        (97_123.4, 5, "97,123"),
        (1_812.44, 4, "1,812.4"),
        (145.312, 2, "145.31"),
        (0.000123456, 0, "0.000123"),
        (float("nan"), 5, "–"),
        (0.0, 5, "–"),
    ],
)
def test_prices_have_five_significant_figures(
    price: float, sz_decimals: int, expected: str
) -> None:
    assert t.price_text(price, sz_decimals) == expected


def test_integer_units_read_as_prices_and_sizes() -> None:
    assert t.px_text(962_100, 5) == "96,210"
    assert t.lots_text(4_120, 5) == "0.04120"
    assert t.coins_text(-1.25, 4) == "−1.2500"
    assert t.coins_text(0.0, 4) == "–"


def test_unknown_reads_as_a_dash() -> None:
    assert t.percent_text(math.nan) == "–"
    assert t.age_text(-1) == "–"
    assert t.share_text(5, 0) == "–"
    assert t.number_text(math.inf, 2) == "–"


@given(st.text())
def test_clean_text_has_nothing_that_moves_a_cursor(text: str) -> None:
    cleaned = t.clean(text, 50)
    assert len(cleaned) <= 50
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} for c in cleaned)


def test_clean_keeps_what_can_be_read() -> None:
    assert t.clean("a\x1b[2Jb\n\u202ec") == "a [2Jb c"
    assert t.clean("x" * 9, 5) == "xxxx…"


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_has_its_width_and_shows_any_use(ratio: float, width: int) -> None:
    bar = t.bar_text(ratio, width)
    assert len(bar) == width
    assert ("█" in bar) == (ratio > 0)


def test_a_bar_without_a_limit_is_empty() -> None:
    assert t.bar_text(math.nan, 4) == "░░░░"
    assert t.bar_text(7.0, 4) == "████"
    assert t.bar_text(1.0, 0) == ""


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.integers(1, 40))
def test_a_spark_is_never_longer_than_asked(values: list[float], width: int) -> None:
    assert len(t.spark_text(values, width)) == min(width, len(values))


def test_a_spark_reaches_from_lowest_to_highest() -> None:
    assert t.spark_text([0.0, 1.0, 7.0], 3) == "▁▂█"
    assert t.spark_text([2.0, 2.0], 2) == "▁▁"
    assert t.spark_text([], 5) == ""


@given(st.text())
def test_ascii_text_is_ascii(text: str) -> None:
    assert t.ascii_text(text).isascii()


def test_short_addresses_keep_both_ends() -> None:
    assert t.short_address("0x12ab34cd56ef7890a1b2c3d4e5f60718293a4b5c") == "0x12ab…4b5c"
    assert t.short_address("0x12") == "0x12"
