"""Settings that are each valid and together cannot mean what was meant.

What makes no sense at all is refused when the configuration is loaded (`core.utils.config_rules`);
here stands what works, but not as its reader would think. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.model.settings import EngineConfig
from core.model.time import NS_PER_S, interval_ns
from core.utils.config_rules import STRATEGY_NAMES


def lint(config: EngineConfig) -> list[str]:
    """Return every contradiction in one sentence each."""
    return [*_limits(config), *_times(config), *_strategies(config)]


def enabled_strategies(config: EngineConfig) -> list[str]:
    """Return the strategies that may be chosen."""
    fixed = config.strategies.selection.fixed_strategy
    return [
        name
        for name in STRATEGY_NAMES
        if getattr(config.strategies, name).enabled and fixed in ("", name)
    ]


def _limits(config: EngineConfig) -> Iterator[str]:
    t = config.trading
    if t.max_position_ratio > t.max_exposure_ratio:
        yield (
            f"max_position_ratio ({t.max_position_ratio:g}) is above max_exposure_ratio "
            f"({t.max_exposure_ratio:g}), so it never limits anything"
        )
    if t.max_exposure_ratio > t.default_leverage * t.max_margin_use:
        yield (
            f"max_exposure_ratio ({t.max_exposure_ratio:g}) cannot be reached: default_leverage "
            f"({t.default_leverage}) times max_margin_use ({t.max_margin_use:g}) allows less"
        )
    if t.max_daily_loss == t.max_daily_drawdown:
        yield (
            f"max_daily_loss equals max_daily_drawdown ({t.max_daily_loss:g}): the loss that stops "
            "entries closes everything at once"
        )
    if t.max_daily_drawdown > t.max_drawdown:
        yield (
            f"max_daily_drawdown ({t.max_daily_drawdown:g}) is above max_drawdown "
            f"({t.max_drawdown:g}), so a single day's limit is never reached"
        )
    if t.max_risk_per_trade > t.max_daily_loss:
        yield (
            f"max_risk_per_trade ({t.max_risk_per_trade:g}) is above max_daily_loss "
            f"({t.max_daily_loss:g}): one stop ends the day"
        )


def _times(config: EngineConfig) -> Iterator[str]:
    t = config.trading
    bar_s = interval_ns(t.candle_interval) / NS_PER_S
    if t.trade_timeout_seconds < bar_s:
        yield (
            f"trade_timeout_seconds ({t.trade_timeout_seconds:g}) is shorter than one candle of "
            f"{t.candle_interval} ({bar_s:g} s): positions close before the next decision bar"
        )
    if t.order_answer_seconds >= t.action_ttl_seconds:
        yield (
            f"order_answer_seconds ({t.order_answer_seconds:g}) is not below action_ttl_seconds "
            f"({t.action_ttl_seconds:g}): an order is asked after only when it has expired"
        )
    if t.data_age_seconds_max < t.decision_seconds:
        yield (
            f"data_age_seconds_max ({t.data_age_seconds_max:g}) is below decision_seconds "
            f"({t.decision_seconds:g})"
        )


def _strategies(config: EngineConfig) -> Iterator[str]:
    s, coins = config.strategies, config.trading.coins
    enabled = [name for name in STRATEGY_NAMES if getattr(s, name).enabled]
    fixed = s.selection.fixed_strategy
    if fixed and config.trading.max_open_positions < len(coins):
        yield (
            f"max_open_positions ({config.trading.max_open_positions}) is below the number of "
            f"coins ({len(coins)}), and {fixed} wants all of them"
        )
    grid = s.grid_trading
    has_bounds = grid.upper_bound is not None or grid.lower_bound is not None
    if "grid_trading" in enabled and len(coins) > 1:
        if has_bounds:
            yield (
                "grid_trading.lower_bound and upper_bound hold for every coin "
                f"({', '.join(coins)}), whose prices differ widely"
            )
        if grid.order_quantity is not None:
            yield (
                f"grid_trading.order_quantity ({grid.order_quantity:g} coins) holds for every coin "
                f"({', '.join(coins)}), whose prices differ widely"
            )
