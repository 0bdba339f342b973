"""The grid: what the venue accepts, exact texts, and rounding that is never more aggressive."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.model.errors import GridError
from core.model.instrument import (
    MICRO_PER_USDC,
    Instrument,
    decimal_text,
    decimal_units,
    micro_from_text,
    micro_text,
)

perps = st.integers(0, 6).map(lambda d: Instrument(coin="X", asset=0, sz_decimals=d))
spots = st.integers(0, 8).map(lambda d: Instrument(coin="X", asset=0, sz_decimals=d, is_spot=True))
instruments = perps | spots


def accepted(text: str, instrument: Instrument) -> bool:
    """The venue's rule in its own words: an integer, or five figures and so many decimals."""
    value = Decimal(text).normalize()
    if value == value.to_integral_value():
        return True
    decimals = max(0, -int(value.as_tuple().exponent))
    return len(value.as_tuple().digits) <= 5 and decimals <= instrument.px_decimals


# Examples of the venue's documentation, tick and lot size.
@pytest.mark.parametrize(
    ("sz_decimals", "is_spot", "text", "is_valid"),
    [
        (0, False, "1234.5", True),
        (0, False, "1234.56", False),
        (0, False, "0.001234", True),
        (0, False, "0.0012345", False),
        (1, False, "0.01234", True),
        (1, False, "0.012345", False),
        (0, False, "123456", True),
        (0, False, "12345.6", False),
        (0, True, "0.0001234", True),
        (1, True, "0.0001234", True),
        (2, True, "0.0001234", False),
    ],
)
def test_documented_prices(sz_decimals: int, is_spot: bool, text: str, is_valid: bool) -> None:
    instrument = Instrument(coin="X", asset=0, sz_decimals=sz_decimals, is_spot=is_spot)
    try:
        found = instrument.is_px_on_grid(instrument.px_from_text(text))
    except GridError:
        found = False
    assert found is is_valid


@given(instruments, st.integers(1, 10**13))
def test_the_grid_is_the_venues_rule(instrument: Instrument, px: int) -> None:
    assert instrument.is_px_on_grid(px) is accepted(instrument.px_text(px), instrument)


@given(instruments, st.floats(1e-4, 1e8), st.booleans())
def test_rounding_is_valid_and_never_more_aggressive(
    instrument: Instrument, price: float, is_buy: bool
) -> None:
    scaled = price * instrument.px_scale
    assume(scaled >= 1.0)
    px = instrument.px_units_on_grid(price, is_buy=is_buy)
    assert instrument.is_px_on_grid(px)
    tolerance = max(1e-6, scaled * 1e-14)
    if is_buy:
        assert px <= scaled + tolerance
        assert px + instrument.tick_units_at(px) > scaled - tolerance, "no coarser than needed"
    else:
        assert px >= scaled - tolerance
        assert px - instrument.tick_units_at(px) < scaled + tolerance, "no coarser than needed"


@given(instruments, st.integers(1, 10**9), st.booleans())
def test_a_valid_price_rounds_to_itself(instrument: Instrument, n: int, is_buy: bool) -> None:
    px = n - n % instrument.tick_units_at(n)
    assume(px > 0 and instrument.is_px_on_grid(px))
    assert instrument.px_units_on_grid(instrument.px_float(px), is_buy=is_buy) == px


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_no_price_is_an_error(price: float) -> None:
    with pytest.raises(GridError, match="should be finite and above 0"):
        Instrument(coin="BTC", asset=0, sz_decimals=5).px_units_on_grid(price, is_buy=True)


@given(st.integers(-(10**18), 10**18), st.integers(0, 8))
def test_text_and_units_are_inverse(units: int, decimals: int) -> None:
    text = decimal_text(units, decimals)
    assert decimal_units(text, decimals, "x") == units
    assert Decimal(text) == Decimal(units).scaleb(-decimals)
    assert "e" not in text.lower() and not (("." in text) and text.endswith("0"))


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "-inf", "1.2.3", "0x10"])
def test_nonsense_is_no_number(text: str) -> None:
    with pytest.raises(GridError):
        decimal_units(text, 2, "px of BTC")


def test_a_finer_number_than_the_grid_names_place_and_value() -> None:
    with pytest.raises(GridError, match=r"px of BTC should fit 1 decimal places, was '97123.55'"):
        Instrument(coin="BTC", asset=0, sz_decimals=5).px_from_text("97123.55")


@given(instruments, st.floats(-1e6, 1e6))
def test_sizes_round_towards_zero(instrument: Instrument, coins: float) -> None:
    lots = instrument.lots_floor(coins)
    assert abs(lots) <= abs(coins) * instrument.lots_scale + 1e-6
    assert abs(lots) + 1 > abs(coins) * instrument.lots_scale - 1e-6
    assert lots == 0 or (lots > 0) == (coins > 0)


@given(perps, st.integers(1, 10**9), st.integers(0, 10**9))
def test_price_times_size_is_exactly_micro_usdc(instrument: Instrument, px: int, lots: int) -> None:
    value = Decimal(instrument.px_text(px)) * Decimal(instrument.lots_text(lots))
    assert instrument.notional_micro(px, lots) == value * MICRO_PER_USDC


@given(st.integers(-(10**16), 10**16))
def test_micro_usdc_and_text_are_inverse(micro: int) -> None:
    assert micro_from_text(micro_text(micro)) == micro


def test_float_noise_of_aggregates_is_rounded_away() -> None:
    assert micro_from_text("2703997.4500000002") == 2_703_997_450_000
