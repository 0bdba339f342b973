"""Strategies: pure decisions, from one coin's market view to wishes.

They know nothing of orders, accounts, venues or clocks. The kernels (and with them Numba) are
imported only when `default_strategies` is called, so that importing this package is cheap.
"""

from __future__ import annotations

from core.model.settings import StrategiesConfig
from core.strategies.base import StrategyManager, TradingStrategy

__all__ = ["StrategyManager", "TradingStrategy", "default_strategies"]


def default_strategies(config: StrategiesConfig | None = None) -> StrategyManager:
    """Register every strategy that ships, in a fixed order.

    Parameters
    ----------
    config : StrategiesConfig, optional
        Checked where a strategy needs more than its own bounds: `RLAI` refuses to be enabled
        without a model.

    Raises
    ------
    ConfigError
        If the configuration enables a strategy that cannot run.
    """
    from core.strategies.grid_trading import GridTrading
    from core.strategies.mean_reversion import MeanReversion
    from core.strategies.rl_ai import RLAI
    from core.strategies.scalping import Scalping
    from core.strategies.trend_following import TrendFollowing

    manager = StrategyManager()
    for strategy in (Scalping(), MeanReversion(), GridTrading(), TrendFollowing()):
        manager.register_strategy(strategy)
    manager.register_strategy(RLAI(config.params_of("rl_ai") if config else None))
    return manager
