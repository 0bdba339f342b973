"""Who may trade a coin, how big, and what a token's own volatility makes of it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.position_sizing import (
    HEADROOM,
    TAKER_FEE_RATE,
    PositionSizing,
    SizingFacts,
    is_tradable,
)
from core.engines.strategy_choice import StrategyChoice
from core.engines.token_metadata import (
    SCALE_MAX,
    SCALE_MIN,
    TokenMetadata,
    VolatilityProfile,
    volatility_profile,
)
from core.model.codes import Regime
from core.model.errors import ConfigError
from core.model.settings import SelectionParams, TradingParams
from core.model.time import NS_PER_S
from tests.engines.fakes import BTC, FakeStrategy

PARAMS = SelectionParams(switch_advantage=0.15, cool_down_seconds=900.0, fit_min=0.3)


def strategy(name: str, **fit: float) -> FakeStrategy:
    fake = FakeStrategy(name)
    fake.regime_fit = {Regime(regime): value for regime, value in fit.items()}
    return fake


TREND = strategy("trend", trending=0.9, volatile=0.4)
FADE = strategy("fade", ranging=0.9, trending=0.5, calm=0.6)


def choose(params: SelectionParams = PARAMS, **changes):
    fields = {
        "incumbent": "",
        "since_ns": 0,
        "now_ns": 10_000 * NS_PER_S,
        "regime": Regime.TRENDING,
        "confidence": 1.0,
        "has_position": False,
        "stopped": {},
    }
    return StrategyChoice([TREND, FADE], params).choose(**{**fields, **changes})


def test_the_best_fit_times_confidence_is_chosen_and_says_so():
    choice = choose(confidence=0.8)
    assert choice.strategy == "trend"
    assert choice.reason == "suits trending 0.90 × confidence 0.80 = 0.72"


@pytest.mark.parametrize(("confidence", "chosen"), [(1 / 3 + 1e-9, "trend"), (1 / 3 - 1e-3, "")])
def test_nobody_trades_below_the_least_fit(confidence, chosen):
    assert choose(confidence=confidence).strategy == chosen


def test_an_unknown_regime_is_traded_by_nobody():
    choice = choose(regime=Regime.UNKNOWN, confidence=0.0)
    assert (choice.strategy, choice.reason) == ("", "regime is not known yet")


def test_a_challenger_must_be_clearly_better():
    near = StrategyChoice(
        [strategy("old", calm=0.6), strategy("new", calm=0.7)],
        msgspec.structs.replace(PARAMS, cool_down_seconds=0.0),
    )
    kept = near.choose(
        incumbent="old",
        since_ns=0,
        now_ns=1,
        regime=Regime.CALM,
        confidence=1.0,
        has_position=False,
        stopped={},
    )
    assert kept.strategy == "old" and "not better by 0.15" in kept.reason


@pytest.mark.parametrize(("age_s", "chosen"), [(899, "fade"), (900, "trend")])
def test_a_switch_waits_for_the_cool_down(age_s, chosen):
    since = 10_000 * NS_PER_S - age_s * NS_PER_S
    assert choose(incumbent="fade", since_ns=since).strategy == chosen


def test_an_incumbent_that_fits_no_more_is_replaced_without_waiting():
    choice = choose(incumbent="fade", since_ns=10_000 * NS_PER_S, regime=Regime.VOLATILE)
    assert choice.strategy == "trend"


def test_whoever_holds_a_position_keeps_it_while_the_regime_suits():
    held = choose(incumbent="fade", has_position=True)
    assert (held.strategy, held.must_leave) == ("fade", False)
    doubtful = choose(incumbent="fade", has_position=True, confidence=0.1)
    assert not doubtful.must_leave, "confidence fades at every turn; that is no reason to leave"
    unsuited = choose(incumbent="trend", has_position=True, regime=Regime.CALM)
    assert (unsuited.strategy, unsuited.must_leave) == ("trend", True)
    unknown = choose(incumbent="trend", has_position=True, regime=Regime.UNKNOWN)
    assert not unknown.must_leave


def test_a_stopped_strategy_leaves_and_is_not_chosen():
    stopped = {"trend": "stopped by me"}
    assert choose(incumbent="trend", has_position=True, stopped=stopped).must_leave
    assert choose(stopped=stopped).strategy == "fade"
    assert choose(stopped=dict.fromkeys(("trend", "fade"), "x")).strategy == ""


def test_a_fixed_strategy_trades_whatever_the_regime():
    fixed = msgspec.structs.replace(PARAMS, fixed_strategy="fade")
    assert choose(fixed, regime=Regime.VOLATILE, confidence=0.0).strategy == "fade"
    held = choose(fixed, incumbent="fade", has_position=True, regime=Regime.VOLATILE)
    assert not held.must_leave
    assert choose(fixed, stopped={"fade": "stopped by me"}).strategy == ""


def test_an_unknown_fixed_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="was 'trned'; did you mean 'trend'"):
        StrategyChoice([TREND, FADE], SelectionParams(fixed_strategy="trned"))


# --- sizing ---------------------------------------------------------------------------------

TRADING = TradingParams(
    max_risk_per_trade=0.01,
    atr_multiplier=2.0,
    max_position_ratio=1.0,
    slippage_tolerance=0.0005,
)


def facts(**changes) -> SizingFacts:
    fields = {
        "equity_usdc": 10_000.0,
        "margin_free_usdc": 5_000.0,
        "exposure_free_usdc": 20_000.0,
        "leverage": 10,
        "price": 100_000.0,
        "atr": 50.0,
    }
    return SizingFacts(**{**fields, **changes})


# Each case is worked out by hand; the smallest limit binds.
@pytest.mark.parametrize(
    ("change", "coins", "bound_by"),
    [
        # 10 000 × 10 × 0.01 / (10 000 × 2) = 0.05 coins
        ({"atr": 10_000.0}, 0.05, "volatility"),
        ({}, HEADROOM * 0.1, "position limit"),
        ({"exposure_free_usdc": 1_000.0}, HEADROOM * 0.01, "exposure limit"),
        ({"margin_free_usdc": 100.0}, HEADROOM * 0.01, "free margin"),
        ({"strategy_share": 0.005}, 0.005, "strategy limit"),
        # 100 USDC of risk / (1 000 of distance + 140 of fees and slippage)
        ({"stop_price": 99_000.0}, 100 / (1_000 + 100_000 * 0.0014), "risk at the stop"),
        ({"strategy_share": 0.005, "strength": 0.5}, 0.0025, "strategy limit"),
    ],
)
def test_the_smallest_limit_binds(change, coins, bound_by):
    size = PositionSizing(TRADING).size(BTC, facts(**change))
    assert size.bound_by == bound_by
    assert size.lots == math.floor(coins * 1e5 + 1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"equity_usdc": 0.0},
        {"equity_usdc": -5.0},
        {"atr": math.nan},
        {"atr": 0.0},
        {"price": math.nan},
        {"margin_free_usdc": -1.0},
        {"exposure_free_usdc": -1.0},
    ],
)
def test_nothing_is_held_on_missing_numbers_or_without_room(change):
    assert PositionSizing(TRADING).size(BTC, facts(**change)).lots == 0


@given(st.floats(100, 1e6), st.floats(0.01, 1e5), st.floats(1e-6, 0.5), st.booleans())
def test_the_loss_at_the_stop_never_exceeds_the_risk(equity, price, distance, is_long):
    stop = price * (1 - distance if is_long else 1 + distance)
    sized = PositionSizing(TRADING).size(
        BTC,
        facts(
            equity_usdc=equity,
            margin_free_usdc=equity,
            exposure_free_usdc=2 * equity,
            price=price,
            stop_price=stop,
        ),
    )
    coins = sized.lots / BTC.lots_scale
    loss = coins * (abs(price - stop) + price * 2 * TAKER_FEE_RATE)
    assert loss <= equity * 0.01 * (1 + 1e-9)
    assert coins * price <= equity * (1 + 1e-9)


def test_ten_usdc_is_the_least_the_venue_takes():
    assert is_tradable(BTC, lots=10, px=1_000_000)
    assert not is_tradable(BTC, lots=10, px=999_990)


# --- tokens ---------------------------------------------------------------------------------


def tokens(leverage: int = 20) -> TokenMetadata:
    metadata = TokenMetadata(TradingParams(default_leverage=leverage))
    metadata.list((BTC, msgspec.structs.replace(BTC, coin="DOGE", asset=9, leverage_max=5)))
    return metadata


def test_details_are_in_human_units_and_depend_on_the_price():
    details = tokens().fetch_asset_details("BTC", price=100_000.0)
    assert details["tick_size"] == 1.0
    assert details["lot_size"] == 1e-5
    assert details["order_size_min"] == pytest.approx(1e-4)
    assert (details["leverage"], details["leverage_max"]) == (20, 40)
    assert math.isnan(tokens().fetch_asset_details("BTC")["tick_size"])
    assert tokens().fetch_asset_details("PEPE") == {}


def test_leverage_stays_within_the_tokens_limit():
    assert tokens().leverage_of("DOGE") == 5


def test_distances_scale_with_the_tokens_volatility_and_nothing_else_does():
    params = {"entry_deviation": 0.002, "grid_size": None, "take_profit_ratio": 1.5}
    scaled = TokenMetadata().auto_reconfigure_params(params, VolatilityProfile(scale=2.0))
    assert scaled == {"entry_deviation": 0.004, "grid_size": None, "take_profit_ratio": 1.5}
    for scale, used in ((99.0, SCALE_MAX), (0.0, SCALE_MIN), (math.nan, 1.0)):
        found = TokenMetadata().auto_reconfigure_params(params, {"scale": scale})
        assert found["entry_deviation"] == pytest.approx(0.002 * used)


def test_a_tokens_scale_is_its_volatility_now_against_its_own_history():
    rng = np.random.default_rng(3)
    sigma = np.r_[np.full(300, 0.001), np.full(40, 0.002)]
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 1, 340) * sigma))
    profile = volatility_profile(
        closes, closes * 1.001, closes * 0.999, atr_period=14, sigma_period=30
    )
    assert 1.6 < profile.scale < 2.4
    assert profile.sigma == pytest.approx(0.002, rel=0.4)
    assert profile.atr > 0.2
    short = volatility_profile(
        closes[:20], closes[:20], closes[:20], atr_period=14, sigma_period=30
    )
    assert math.isnan(short.atr) and short.scale == 1.0
