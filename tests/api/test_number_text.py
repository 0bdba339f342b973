"""Number text: the same integers as the exact twin, whatever the spelling."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.api.number_text import canonical, float_number, units, units_rounded
from core.model.errors import GridError
from core.model.instrument import decimal_text, decimal_units

PLAIN = st.from_regex(r"\A-?[0-9]{0,12}(\.[0-9]{0,12})?\Z")
ODD = st.text(alphabet="0123456789.-+eE_ nNaAiIfF٣²", max_size=12)


def outcome(read: object, *args: object) -> object:
    """What a reader returns, or that it refuses."""
    try:
        return read(*args)  # type: ignore[operator]
    except GridError:
        return GridError


@given(text=PLAIN | ODD, decimals=st.integers(0, 8))
@example(text="-0", decimals=2)
@example(text="1.10", decimals=1)
@example(text="1.", decimals=0)
@example(text=".", decimals=3)
@example(text="", decimals=0)
@example(text="--1", decimals=0)
@example(text="1e3", decimals=0)
@example(text="٣", decimals=1)
def test_units_is_its_exact_twin(text: str, decimals: int) -> None:
    assert outcome(units, text, decimals) == outcome(decimal_units, text, decimals, "number")


@given(value=st.integers(-(10**15), 10**15), decimals=st.integers(0, 8))
def test_units_reads_what_decimal_text_writes(value: int, decimals: int) -> None:
    assert units(decimal_text(value, decimals), decimals) == value


@given(
    value=st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=10),
    decimals=st.integers(0, 8),
)
@example(value=Decimal("0.5"), decimals=0)
@example(value=Decimal("1.5"), decimals=0)
@example(value=Decimal("-2.5"), decimals=0)
@example(value=Decimal("12377419030.3486595154"), decimals=6)
def test_rounding_goes_to_the_nearest_and_ties_to_even(value: Decimal, decimals: int) -> None:
    expected = value.scaleb(decimals).to_integral_value(rounding=ROUND_HALF_EVEN)
    assert units_rounded(f"{value:f}", decimals) == int(expected)


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "-inf", "1..2", "."])
def test_what_is_no_number_is_refused(text: str) -> None:
    for read in (units, units_rounded):
        with pytest.raises(GridError, match="number should be"):
            read(text, 2)
    with pytest.raises(GridError):
        canonical(text)


def test_a_float_must_be_a_number() -> None:
    assert float_number("-0.000003688") == -0.000003688
    with pytest.raises(GridError, match="rate should be a number, was 'x'"):
        float_number("x", "rate")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1670.10", "1670.1"),
        ("100000", "100000"),
        ("100.0", "100"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
        ("00.0147", "0.0147"),
        (".5", "0.5"),
        ("0.123456780", "0.12345678"),
    ],
)
def test_canonical_text(text: str, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["+1", "1e5", " 1", "1_0", "0.123456789", "٣"])
def test_text_the_venue_would_not_hash_is_refused(text: str) -> None:
    with pytest.raises(GridError):
        canonical(text)


@given(value=st.integers(0, 10**16), decimals=st.integers(0, 8))
def test_our_own_text_is_canonical(value: int, decimals: int) -> None:
    text = decimal_text(value, decimals)
    assert canonical(text) == text
