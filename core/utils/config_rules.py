"""Rules between settings: values that are each possible and together make no sense.

Each rule is checked only where its own values are valid, so one mistake gives one problem. Knows
the words of `core.model.settings` and nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from core.model.errors import ConfigError
from core.model.settings import EngineConfig, StrategiesConfig
from core.utils.struct_check import Problem, nearest_text, value_text

LESS, AT_MOST = "below", "at most"

ORDERED: tuple[tuple[str, str, str], ...] = (
    ("trading.max_daily_loss", AT_MOST, "trading.max_daily_drawdown"),
    ("trading.slippage_tolerance", AT_MOST, "trading.price_band"),
    ("strategies.scalping.exit_deviation", LESS, "strategies.scalping.entry_deviation"),
    ("strategies.mean_reversion.exit_z_score", LESS, "strategies.mean_reversion.entry_z_score"),
    ("strategies.grid_trading.lower_bound", LESS, "strategies.grid_trading.upper_bound"),
    ("strategies.trend_following.fast_period", LESS, "strategies.trend_following.slow_period"),
    ("strategies.regime.calm_quantile", LESS, "strategies.regime.volatile_quantile"),
)
"""Pairs whose order matters; a pair with a null in it is not compared."""

STRATEGY_NAMES = tuple(
    name
    for name, params in msgspec.structs.asdict(StrategiesConfig()).items()
    if hasattr(params, "enabled")
)
"""Everything that can be enabled, in the order of the configuration."""

Values = Mapping[str, object]
"""Effective values by dotted path, invalid ones left out."""


def broken_rules(values: Values) -> list[Problem]:
    """List the rules that ``values`` break.

    Parameters
    ----------
    values : mapping
        Effective value (given or default) by dotted path such as ``trading.coins``. A path that is
        absent is invalid by itself and excuses the rules that need it.
    """
    rules: tuple[Callable[[Values], Iterator[Problem]], ...] = (
        order_problems,
        _coin_problems,
        _fixed_strategy_problems,
        _model_problems,
    )
    return [problem for rule in rules for problem in rule(values)]


def require_equity(config: EngineConfig, equity_usdc: float) -> None:
    """Refuse a start that could only end in an immediate shutdown.

    Raises
    ------
    ConfigError
        If the equity at the start is not above ``equity_floor_usdc``.
    """
    floor = config.trading.equity_floor_usdc
    if not equity_usdc > floor:
        raise ConfigError(
            [
                f"trading.equity_floor_usdc: expected below the equity at the start "
                f"({equity_usdc:.2f} USDC), was {floor}"
            ]
        )


def order_problems(values: Values) -> Iterator[Problem]:
    """Yield the pairs of `ORDERED` that are the wrong way round."""
    for low_path, word, high_path in ORDERED:
        low, high = values.get(low_path), values.get(high_path)
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            continue
        if low > high or (word == LESS and low == high):
            name = high_path.rpartition(".")[2]
            yield Problem(low_path, f"expected {word} {name} ({high}), was {low}")


def _coin_problems(values: Values) -> Iterator[Problem]:
    coins = values.get("trading.coins")
    if not isinstance(coins, list | tuple):
        return
    for i, coin in enumerate(coins):
        where = f"trading.coins[{i}]"
        if not coin.strip() or coin != coin.strip():
            yield Problem(where, f"expected a coin's name such as 'BTC', was {value_text(coin)}")
        elif coin in coins[:i]:
            yield Problem(where, f"expected each coin once, was {value_text(coin)} again")


def _fixed_strategy_problems(values: Values) -> Iterator[Problem]:
    path = "strategies.selection.fixed_strategy"
    name = values.get(path)
    if not isinstance(name, str) or not name:
        return
    if name not in STRATEGY_NAMES:
        known = ", ".join(STRATEGY_NAMES)
        hint = nearest_text(name, list(STRATEGY_NAMES))
        yield Problem(path, f"expected one of {known} or nothing, was {value_text(name)}{hint}")
    elif values.get(f"strategies.{name}.enabled") is False:
        yield Problem(path, f"expected an enabled strategy, was {name!r}, which is disabled")


def _model_problems(values: Values) -> Iterator[Problem]:
    path = "strategies.rl_ai.model_path"
    model = values.get(path)
    if values.get("strategies.rl_ai.enabled") is not True or not isinstance(model, str):
        return
    if not model:
        yield Problem(path, "expected a trained model, as rl_ai is enabled, was empty")
    elif Path(model).suffix.lower() in (".pkl", ".pickle"):
        yield Problem(
            path,
            f"expected a model that is only numbers, was {value_text(model)}; a pickle can run any "
            "program when it is loaded",
        )
    elif not Path(model).is_file():
        yield Problem(
            path, f"expected an existing file, as rl_ai is enabled, was {value_text(model)}"
        )
