"""What every strategy promises in any market: pure, robust, stop and target on their sides."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.codes import Direction, Regime
from core.model.errors import ConfigError
from core.model.intents import Intent, TargetPosition, TargetQuotes
from core.model.market import MarketView
from core.model.settings import StrategiesConfig
from core.strategies import StrategyManager, TradingStrategy, default_strategies
from core.strategies.costs import EDGE_RATIO_MIN, maker_round_trip, taker_round_trip
from core.strategies.grid_trading import GridTrading, steady_scale
from core.strategies.mean_reversion import MeanReversion
from core.strategies.scalping import Scalping
from core.strategies.trend_following import TrendFollowing
from core.strategies.view import read_view
from tests.strategies.test_kernels import walk

TRADERS: tuple[TradingStrategy, ...] = (
    Scalping(),
    MeanReversion(),
    GridTrading(),
    TrendFollowing(),
)
EVERY = pytest.mark.parametrize("strategy", TRADERS, ids=lambda s: s.name)
SEEDS = st.integers(0, 2**32 - 1)


def view_of(closes: np.ndarray, price: float | None = None, **fields: Any) -> MarketView:
    price = float(closes[-1]) if price is None else price
    values: dict[str, Any] = {
        "coin": "BTC",
        "now_ns": 0,
        "price": price,
        "bid": price * 0.99999,
        "ask": price * 1.00001,
        "closes": closes,
        "highs": closes * 1.0005,
        "lows": closes * 0.9995,
        "volumes": np.ones(len(closes)),
    }
    return MarketView(**{**values, **fields})


def excited_view(seed: int) -> MarketView:
    """Make a view in which something may well happen, with and without a position."""
    rng = np.random.default_rng(seed)
    drift = rng.choice((-0.0008, 0.0, 0.0008))
    closes = walk(seed, 300) * np.exp(drift * np.arange(300))
    price = float(closes[-1] * math.exp(rng.normal(0.0, 0.003)))
    position = float(rng.choice((-1.0, 0.0, 0.0, 1.0)))
    return view_of(
        closes,
        price,
        volatility_scale=float(rng.uniform(0.3, 3.0)),
        position_coins=position,
        entry_price=price * float(rng.uniform(0.99, 1.01)) if position else math.nan,
        position_age_s=120.0 if position else 0.0,
    )


def check_sides(view: MarketView, intents: list[Intent]) -> None:
    """Stops lie on the losing side, targets on the winning side, and opening carries a stop."""
    assert len(intents) <= 1
    for intent in intents:
        assert intent.coin == view.coin
        assert intent.reason
        if isinstance(intent, TargetQuotes):
            check_quotes(view, intent)
        elif intent.direction is not Direction.FLAT:
            side = 1 if intent.direction is Direction.LONG else -1
            assert intent.stop_price is not None
            assert intent.stop_price > 0
            assert side * (view.price - intent.stop_price) > 0
            assert intent.target_price is None or side * (intent.target_price - view.price) > 0
            assert intent.target_price is not None or view.position_coins
            assert 0 < intent.strength <= 1


def check_quotes(view: MarketView, intent: TargetQuotes) -> None:
    assert intent.quotes
    assert intent.stop_price is not None
    held = (view.position_coins > 0) - (view.position_coins < 0)
    for quote in intent.quotes:
        assert quote.price <= view.bid if quote.is_buy else quote.price >= view.ask
        is_opposite = held != 0 and (1 if quote.is_buy else -1) != held
        assert quote.is_reducing == is_opposite
        assert held or not quote.is_reducing
    # The stop lies beyond the outermost level that opens; flat, it protects the bids if there are.
    opening = [quote for quote in intent.quotes if not quote.is_reducing]
    side = held or (1 if any(quote.is_buy for quote in opening) else -1)
    for quote in opening:
        if quote.is_buy == (side > 0):
            assert side * (quote.price - intent.stop_price) > 0
    reducing = [q.coins for q in intent.quotes if q.is_reducing]
    if reducing:
        assert sum(c for c in reducing if c is not None) == pytest.approx(abs(view.position_coins))


@EVERY
@given(seed=SEEDS)
@settings(max_examples=120, deadline=None)
def test_wishes_are_sane_and_the_same_when_asked_twice(
    strategy: TradingStrategy, seed: int
) -> None:
    view = excited_view(seed)
    before = copy.deepcopy(view)
    first, second = strategy.run(view), strategy.run(view)
    assert first == second
    check_sides(view, first)
    for name in ("closes", "highs", "lows"):
        np.testing.assert_array_equal(getattr(view, name), getattr(before, name))


@EVERY
@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_what_comes_later_changes_nothing(strategy: TradingStrategy, seed: int) -> None:
    view = excited_view(seed)
    future = np.concatenate([view.closes, np.full(50, 5.0)])
    windowed = msgspec.structs.replace(
        view,
        closes=future[:300],
        highs=np.concatenate([view.highs, np.full(50, 9.0)])[:300],
        lows=np.concatenate([view.lows, np.full(50, 1.0)])[:300],
    )
    assert strategy.run(windowed) == strategy.run(view)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.floats(), max_size=90),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=3),
    st.lists(st.lists(st.floats(), max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = st.sampled_from((*MarketView.__struct_fields__, "prices", "current_price", "mid", "other"))


@EVERY
@given(data=st.dictionaries(KEYS, JUNK, max_size=12))
@settings(max_examples=150, deadline=None)
def test_no_mapping_however_odd_raises(strategy: TradingStrategy, data: dict[str, Any]) -> None:
    view = read_view(data)
    intents = strategy.run(data)
    if view is None:
        assert intents == []
    else:
        for intent in intents:
            if isinstance(intent, TargetPosition):
                assert intent.direction is Direction.FLAT or intent.stop_price is not None


@EVERY
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"price": 97_000.0},
        {"price": math.nan, "closes": []},
        {"price": -1.0, "closes": [1.0] * 300},
        {"price": 100.0, "closes": [math.nan] * 300},
        {"price": 100.0, "closes": [100.0] * 299 + [math.inf]},
        {"prices": [100.0], "current_price": 100.0},
        {"prices": None, "current_price": "not a number"},
        {"price": 100.0, "prices": [100.0] * 300, "volatility_scale": 0.0},
    ],
    ids=("nothing", "price", "nan", "negative", "all nan", "inf", "one", "words", "no scale"),
)
def test_too_little_data_is_no_wish(strategy: TradingStrategy, data: dict[str, Any]) -> None:
    assert strategy.run(data) == []


@EVERY
def test_unknown_values_in_a_view_are_no_wish(strategy: TradingStrategy) -> None:
    closes = np.full(300, math.nan)
    assert strategy.run(view_of(closes, 100.0)) == []
    assert strategy.run(view_of(np.empty(0), 100.0)) == []
    held = view_of(np.full(300, 100.0), 100.0, position_coins=math.nan)
    assert strategy.run(held) == []


@EVERY
def test_switched_off_is_no_wish_and_bad_parameters_are_named(strategy: TradingStrategy) -> None:
    view = excited_view(3)
    assert strategy.run(view, {"enabled": False}) == []
    with pytest.raises(ConfigError, match=strategy.name):
        strategy.run(view, {"no_such_key": 1})
    with pytest.raises(ConfigError, match="enabled"):
        strategy.run(view, {"enabled": "yes"})


@EVERY
def test_defaults_are_those_of_the_configuration(strategy: TradingStrategy) -> None:
    params = StrategiesConfig().params_of(strategy.name)
    for seed in range(40):
        view = excited_view(seed)
        assert strategy.run(view, params) == strategy.run(view)


@EVERY
def test_fits_name_only_what_a_regime_is(strategy: TradingStrategy) -> None:
    assert set(strategy.regime_fit) <= set(Regime)
    assert all(0.0 <= fit <= 1.0 for fit in strategy.regime_fit.values())
    assert strategy.warm_up_count > 0


def only(intents: list[Intent]) -> Any:
    assert len(intents) == 1
    return intents[0]


def quiet(count: int = 300, sway: float = 0.02) -> np.ndarray:
    return np.asarray(100.0 + sway * np.sin(np.arange(count)))


# --- scalping -----------------------------------------------------------------------------------


def test_scalping_fades_a_fall_with_stop_and_target_in_entry_deviations() -> None:
    wish = only(Scalping().run(view_of(quiet(), 99.75)))
    assert wish.direction is Direction.LONG
    assert wish.stop_price == pytest.approx(99.75 * (1 - 0.002))
    assert wish.target_price == pytest.approx(99.75 * (1 + 0.003))
    wish = only(Scalping().run(view_of(quiet(), 100.25)))
    assert wish.direction is Direction.SHORT
    assert wish.stop_price == pytest.approx(100.25 * (1 + 0.002))


@pytest.mark.parametrize(
    ("key", "value", "price", "direction"),
    [
        ("entry_deviation", 0.004, 99.75, Direction.FLAT),
        ("entry_deviation", 0.0022, 99.75, Direction.LONG),
        ("exit_deviation", 0.0019, 99.75, Direction.FLAT),
        ("stop_loss_ratio", 0.1, 99.75, Direction.FLAT),
        ("take_profit_ratio", 0.1, 99.75, Direction.FLAT),
    ],
)
def test_every_key_of_scalping_has_its_effect(
    key: str, value: float, price: float, direction: Direction
) -> None:
    assert only(Scalping().run(view_of(quiet(), price), {key: value})).direction is direction


def test_volatility_widens_the_distances_of_scalping() -> None:
    view = view_of(quiet(), 99.75, volatility_scale=1.2)
    wish = only(Scalping().run(view))
    assert wish.stop_price == pytest.approx(99.75 * (1 - 0.0024))
    assert only(Scalping().run(view_of(quiet(), 99.75, volatility_scale=1.5))).direction == "flat"


def test_scalping_holds_until_the_price_is_back() -> None:
    held = {"position_coins": 0.5, "entry_price": 99.75}
    assert Scalping().run(view_of(quiet(), 99.8, **held)) == []
    leave = only(Scalping().run(view_of(quiet(), 99.97, **held)))
    assert (leave.direction, leave.stop_price) == (Direction.FLAT, None)
    short = {"position_coins": -0.5, "entry_price": 100.25}
    assert Scalping().run(view_of(quiet(), 100.2, **short)) == []
    assert only(Scalping().run(view_of(quiet(), 100.03, **short))).direction is Direction.FLAT


def test_a_wide_spread_makes_a_small_move_not_worth_it() -> None:
    wish = only(Scalping().run(view_of(quiet(), 99.75, bid=99.7, ask=99.8)))
    assert wish.direction is Direction.FLAT
    assert "costs" in wish.reason


def test_costs_count_both_fees_and_the_spread() -> None:
    assert taker_round_trip(100.0, 99.99, 100.01) == pytest.approx(0.0009 + 0.0002)
    assert taker_round_trip(100.0, math.nan, 100.01) == pytest.approx(0.0009 + 0.0002)
    assert taker_round_trip(100.0, 101.0, 100.0) == pytest.approx(0.0009 + 0.0002)
    assert maker_round_trip() == pytest.approx(0.0003)


# --- mean reversion -----------------------------------------------------------------------------


def test_mean_reversion_fades_and_leaves_by_z_score() -> None:
    closes = quiet(300, 0.2)
    mean, std = float(np.mean(closes[-60:])), float(np.std(closes[-60:], ddof=1))
    view = view_of(closes, mean - 2.5 * std)
    wish = only(MeanReversion().run(view))
    assert wish.direction is Direction.LONG
    assert wish.stop_price == pytest.approx(view.price - 2.0 * std)
    assert wish.target_price == pytest.approx(mean - 0.5 * std)
    held = {"position_coins": 1.0, "entry_price": view.price}
    assert MeanReversion().run(view_of(closes, mean - 0.6 * std, **held)) == []
    leave = only(MeanReversion().run(view_of(closes, mean - 0.4 * std, **held)))
    assert leave.direction is Direction.FLAT


@pytest.mark.parametrize(
    ("params", "z", "direction"),
    [
        ({"entry_z_score": 3.0}, -2.5, Direction.FLAT),
        ({"entry_z_score": 2.4}, -2.5, Direction.LONG),
        ({"entry_z_score": 2.0}, 2.5, Direction.SHORT),
        ({"exit_z_score": 2.4}, -2.5, Direction.FLAT),
        ({"std_dev_multiplier": 0.4}, -2.5, Direction.FLAT),
        ({"lookback_period": 301}, -2.5, None),
    ],
)
def test_every_key_of_mean_reversion_has_its_effect(
    params: dict[str, float], z: float, direction: Direction | None
) -> None:
    closes = quiet(300, 0.2)
    mean, std = float(np.mean(closes[-60:])), float(np.std(closes[-60:], ddof=1))
    intents = MeanReversion().run(view_of(closes, mean + z * std), params)
    assert (only(intents).direction if intents else None) is direction


# --- trend following ----------------------------------------------------------------------------


def breakout(count: int = 300) -> np.ndarray:
    ramp = np.concatenate([np.zeros(count - 60), np.linspace(0.0, 3.0, 60)])
    return np.asarray(100.0 + ramp + 0.02 * np.sin(np.arange(count)))


def test_trend_following_enters_a_confirmed_breakout_and_holds_with_its_stop() -> None:
    closes = np.append(breakout(), 103.4)
    wish = only(TrendFollowing().run(view_of(closes, 103.5)))
    assert wish.direction is Direction.LONG
    risk = 103.5 - wish.stop_price
    assert risk > 0
    held = view_of(closes, 103.5, position_coins=1.0, entry_price=103.5)
    again = only(TrendFollowing().run(held))
    assert (again.stop_price, again.target_price) == (wish.stop_price, wish.target_price)


def test_trend_following_leaves_where_the_averages_cross() -> None:
    fallen = np.concatenate([breakout(), np.linspace(103.0, 96.0, 120)])
    held = view_of(fallen, 96.0, position_coins=1.0, entry_price=103.0)
    wish = only(TrendFollowing().run(held))
    assert wish.direction is Direction.FLAT
    assert "crossed" in wish.reason


def test_a_trend_position_without_a_known_entry_is_left_alone() -> None:
    assert TrendFollowing().run(view_of(breakout(), position_coins=1.0)) == []


@pytest.mark.parametrize(
    ("params", "direction"),
    [
        ({"channel_period": 300}, None),
        ({"slow_period": 302}, None),
        ({"fast_period": 60, "slow_period": 20}, Direction.FLAT),
        ({"atr_stop_multiplier": 0.01}, Direction.FLAT),
        ({"take_profit_ratio": 0.01}, Direction.FLAT),
        ({"take_profit_ratio": 5.0}, Direction.LONG),
    ],
)
def test_every_key_of_trend_following_has_its_effect(
    params: dict[str, float], direction: Direction | None
) -> None:
    view = view_of(np.append(breakout(), 103.4)[-300:], 103.5)
    intents = TrendFollowing().run(view, params)
    assert (only(intents).direction if intents else None) is direction
    if direction is Direction.LONG:
        plain = only(TrendFollowing().run(view))
        assert only(intents).target_price > plain.target_price


# --- grid ---------------------------------------------------------------------------------------


def prices_of(intent: TargetQuotes, *, is_buy: bool) -> list[float]:
    return [quote.price for quote in intent.quotes if quote.is_buy is is_buy]


def test_grid_rests_levels_one_step_apart_on_both_sides() -> None:
    wish = only(GridTrading().run(view_of(quiet())))
    levels = sorted(quote.price for quote in wish.quotes)
    assert len(levels) == 6
    ratios = np.divide(levels[1:], levels[:-1])
    np.testing.assert_allclose(ratios, 1.003, rtol=1e-9)
    assert all(quote.coins is None and not quote.is_reducing for quote in wish.quotes)
    assert wish.stop_price == pytest.approx(levels[0] / 1.003)


def test_a_tick_does_not_move_the_grid() -> None:
    closes = quiet()
    wish = only(GridTrading().run(view_of(closes, 100.0)))
    inside = [p for p in np.linspace(99.9, 100.1, 41) if _same_cell(p, 100.0)]
    assert len(inside) > 5
    assert all(GridTrading().run(view_of(closes, float(p))) == [wish] for p in inside)


def _same_cell(a: float, b: float) -> bool:
    cell = [math.floor(math.log(x) / math.log(1.003) - 0.5) for x in (a, b)]
    return cell[0] == cell[1]


def test_levels_that_stay_keep_their_price_when_the_centre_moves() -> None:
    first = only(GridTrading().run(view_of(quiet(), 100.0)))
    higher = only(GridTrading().run(view_of(quiet(), 100.55)))
    kept = {round(q.price, 9) for q in first.quotes} & {round(q.price, 9) for q in higher.quotes}
    assert len(kept) >= 3


def test_a_holding_grid_takes_profit_adds_below_and_stops_beyond() -> None:
    flat = only(GridTrading().run(view_of(quiet(), 100.0)))
    filled = prices_of(flat, is_buy=True)[0]
    held = {"position_coins": 0.3, "entry_price": filled}
    wish = only(GridTrading().run(view_of(quiet(), filled, **held)))
    adds, takes = prices_of(wish, is_buy=True), prices_of(wish, is_buy=False)
    assert adds == pytest.approx([filled / 1.003**k for k in (1, 2, 3)])
    assert takes == pytest.approx([filled * 1.003])
    assert wish.stop_price == pytest.approx(filled / 1.003**4)
    beyond = view_of(quiet(), filled / 1.003**4.01, **held)
    stopped = GridTrading().run(msgspec.structs.replace(beyond, closes=quiet() * 0.99))
    assert only(stopped).direction is Direction.FLAT


def test_grid_sells_a_position_quantity_by_quantity() -> None:
    held = {"position_coins": -0.25, "entry_price": 100.0}
    wish = only(GridTrading().run(view_of(quiet(), 100.0, **held), {"order_quantity": 0.1}))
    taking = [quote for quote in wish.quotes if quote.is_reducing]
    assert [q.is_buy for q in taking] == [True] * 3
    assert [q.coins for q in taking] == pytest.approx([0.1, 0.1, 0.05])
    assert [q.coins for q in wish.quotes if not q.is_reducing] == [0.1] * 3
    assert wish.stop_price > 100.0


def test_every_key_of_the_grid_has_its_effect() -> None:
    view = view_of(quiet(), 100.0)
    assert len(only(GridTrading().run(view, {"num_grids": 10})).quotes) == 10
    wide = prices_of(only(GridTrading().run(view, {"grid_size": 0.01})), is_buy=False)
    assert wide[1] / wide[0] == pytest.approx(1.01)
    bounded = only(GridTrading().run(view, {"lower_bound": 99.6, "upper_bound": 100.4}))
    assert all(99.6 <= quote.price <= 100.4 for quote in bounded.quotes)
    assert {quote.is_buy for quote in bounded.quotes} == {True, False}
    outside = only(GridTrading().run(view, {"lower_bound": 150.0, "upper_bound": 160.0}))
    assert outside.direction is Direction.FLAT
    cheap = only(GridTrading().run(view, {"grid_size": EDGE_RATIO_MIN * 0.0002}))
    assert "fees" in cheap.reason


def test_volatility_moves_the_grid_only_in_steps() -> None:
    assert [steady_scale(s) for s in (1.0, 1.15, 0.86)] == [1.0] * 3
    assert steady_scale(1.3) == pytest.approx(math.sqrt(2.0))
    assert steady_scale(1e9) == 4.0
    assert steady_scale(1e-9) == 0.25


def test_a_gap_is_no_place_for_a_grid() -> None:
    assert GridTrading().run(view_of(quiet(), 103.0)) == []


# --- the register -------------------------------------------------------------------------------


def test_the_register_knows_every_configured_strategy() -> None:
    manager = default_strategies()
    sections = set(StrategiesConfig.__struct_fields__) - {"regime", "selection"}
    assert set(manager.names) == sections
    assert [s.name for s in manager] == list(manager.names)
    assert len(manager) == 5
    assert "scalping" in manager
    assert manager.get_strategy("scalping").name == "scalping"


def test_the_register_refuses_doubles_and_names_what_it_knows() -> None:
    manager = StrategyManager()
    manager.register_strategy(Scalping())
    with pytest.raises(ConfigError, match="twice"):
        manager.register_strategy(Scalping())
    with pytest.raises(ConfigError, match=r"scalping; was 'scalpng'"):
        manager.get_strategy("scalpng")


def test_a_strategy_of_ones_own_needs_only_run() -> None:
    class BuyAndHold(TradingStrategy):
        name = "buy_and_hold"
        warm_up_count = 0
        regime_fit = {Regime.TRENDING: 1.0}  # noqa: RUF012

        def run(self, data: Any, params: Any = None) -> list[Intent]:
            return [
                TargetPosition(
                    coin=data.coin, strategy=self.name, direction=Direction.LONG, reason="hold"
                )
            ]

    manager = StrategyManager()
    manager.register_strategy(BuyAndHold())
    view = view_of(quiet())
    assert only(manager.get_strategy("buy_and_hold").run(view)).direction is Direction.LONG


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, core.strategies; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
