"""The names this project promises exist, work without arguments, and take what they say."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

NAMES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "StrategyManager": (
        "core.strategies",
        {"register_strategy": ("strategy",), "get_strategy": ("name",)},
    ),
    "Scalping": ("core.strategies.scalping", {"run": ("data", "params")}),
    "MeanReversion": ("core.strategies.mean_reversion", {"run": ("data", "params")}),
    "GridTrading": ("core.strategies.grid_trading", {"run": ("data", "params")}),
    "TrendFollowing": ("core.strategies.trend_following", {"run": ("data", "params")}),
    "RLAI": ("core.strategies.rl_ai", {"run": ("data", "params")}),
    "OrderExecutionEngine": (
        "core.engines.order_execution",
        {"execute_order": ("strategy_signal", "risk_params")},
    ),
    "RiskManagement": (
        "core.engines.risk_management",
        {
            "monitor_risk": (),
            "emergency_handler": (),
            "cancel_all_orders": (),
            "close_all_positions": (),
        },
    ),
    "TokenMetadata": (
        "core.engines.token_metadata",
        {"fetch_asset_details": (), "auto_reconfigure_params": ()},
    ),
    "MarketRegime": ("core.engines.market_regime", {"analyze_regime": ("data",)}),
    "CLIInterface": ("core.interfaces.cli_interface", {"start": (), "process_command": ()}),
    "GUIInterface": (
        "core.interfaces.gui_interface",
        {"start": (), "update_charts": (), "display_trade_history": (), "display_pnl": ()},
    ),
    "PerformanceTracker": ("core.analytics.performance_tracker", {"track_metrics": ()}),
    "PnLAnalyzer": ("core.analytics.pnl_analyzer", {"analyze_pnl": ()}),
    "BacktestVisualizer": ("core.analytics.backtest_visualizer", {"visualize_backtest": ()}),
    "ConfigLoader": ("core.utils.config_loader", {"load_config": ("path",)}),
    "CredentialManager": ("core.utils.credential_manager", {"get_credential": ("name",)}),
    "Logger": ("core.utils.logger", {"info": (), "error": (), "warning": (), "debug": ()}),
    "EmergencyHandler": ("core.utils.emergency_handler", {"handle_emergency": ()}),
    "HyperliquidAPI": (
        "core.api.hyperliquid_api",
        {
            "get_market_data": (),
            "place_order": (),
            "cancel_order": (),
            "get_open_orders": (),
            "get_positions": (),
        },
    ),
    "WebSocketFeed": (
        "core.api.websocket_feed",
        {"connect": (), "disconnect": (), "on_message": ()},
    ),
}
"""Class to module, and methods with the leading parameter names that callers rely on."""

STRATEGIES = ("Scalping", "MeanReversion", "GridTrading", "TrendFollowing", "RLAI")
LOOSE_DATA: tuple[dict[str, Any], ...] = (
    {},
    {"price": 97_000.0},
    {"prices": [100.0, 101.0, 99.5], "current_price": 100.5},
    {"prices": [], "current_price": 100.5},
    {"prices": [100.0] * 300, "current_price": 103.0, "volume": None},
)


def _class_of(name: str) -> type[Any]:
    found = getattr(importlib.import_module(NAMES[name][0]), name)
    assert inspect.isclass(found)
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_a_promised_class_is_constructible_without_arguments(name: str) -> None:
    assert isinstance(_class_of(name)(), _class_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_promised_class_has_its_methods(name: str) -> None:
    for method, leading in NAMES[name][1].items():
        function = getattr(_class_of(name), method)
        parameters = tuple(inspect.signature(function).parameters)
        assert parameters[1 : 1 + len(leading)] == leading, f"{name}.{method}{parameters}"
        assert inspect.getdoc(function), f"{name}.{method} should say what it does"


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("data", LOOSE_DATA, ids=lambda d: "+".join(d) or "nothing")
def test_a_strategy_answers_loose_data_with_a_list(name: str, data: dict[str, Any]) -> None:
    assert isinstance(_class_of(name)().run(data), list)
    assert isinstance(_class_of(name)().run(data, {}), list)


def test_a_trading_strategy_is_what_strategies_derive_from() -> None:
    base = importlib.import_module("core.strategies").TradingStrategy
    assert inspect.isabstract(base)
    assert tuple(inspect.signature(base.run).parameters)[1:3] == ("data", "params")
    for name in STRATEGIES:
        assert issubclass(_class_of(name), base)


def test_a_registered_strategy_is_found_by_its_name() -> None:
    strategies = importlib.import_module("core.strategies")
    manager, strategy = strategies.StrategyManager(), _class_of("Scalping")()
    manager.register_strategy(strategy)
    assert manager.get_strategy(strategy.name) is strategy
