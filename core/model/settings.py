"""The configuration as the engine knows it: frozen, bounded, complete.

Ratios are fractions of 1 (``0.01`` is one per cent), money is USDC, times are seconds. Field
docs in ``docs/USER_GUIDE.md`` are generated from the ``description`` of each field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from core.model.codes import Regime

Enabled = Annotated[bool, Meta(description="whether the strategy may be chosen")]


class TradingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``configs/trading_params.json``: what may be risked, and how orders are placed."""

    default_leverage: Annotated[int, Meta(ge=1, le=50, description="leverage set at the venue")] = (
        10
    )
    max_risk_per_trade: Annotated[
        float, Meta(gt=0, le=0.1, description="largest loss at the stop, as a share of equity")
    ] = 0.01
    slippage_tolerance: Annotated[
        float, Meta(ge=0, le=0.05, description="limit price of market orders, away from the touch")
    ] = 0.0005
    order_type: Annotated[
        Literal["market", "limit"],
        Meta(description="market: take now within slippage_tolerance; limit: rest at the touch"),
    ] = "market"
    max_daily_loss: Annotated[
        float, Meta(gt=0, le=1, description="loss of the UTC day at which new entries stop")
    ] = 0.02
    max_open_positions: Annotated[int, Meta(ge=1, le=100, description="coins held at once")] = 5
    trade_timeout_seconds: Annotated[
        float, Meta(gt=0, le=2_592_000, description="age at which a position is closed")
    ] = 3600.0

    coins: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=50, description="perpetuals to trade")
    ] = ("BTC", "ETH", "SOL")
    candle_interval: Annotated[
        Literal["1m", "3m", "5m", "15m", "30m", "1h"], Meta(description="bar of all decisions")
    ] = "5m"
    max_daily_drawdown: Annotated[
        float, Meta(gt=0, le=1, description="loss of the UTC day that triggers the shutdown")
    ] = 0.05
    max_drawdown: Annotated[
        float, Meta(gt=0, le=1, description="fall from peak equity that triggers the shutdown")
    ] = 0.15
    equity_floor_usdc: Annotated[
        float, Meta(ge=0, le=1e9, description="equity under which everything is closed")
    ] = 0.0
    max_position_ratio: Annotated[
        float, Meta(gt=0, le=50, description="largest notional of one coin, in equities")
    ] = 0.3
    max_exposure_ratio: Annotated[
        float, Meta(gt=0, le=50, description="largest sum of notionals, in equities")
    ] = 1.0
    max_margin_use: Annotated[
        float, Meta(gt=0, le=1, description="share of equity that may be bound as margin")
    ] = 0.5
    atr_multiplier: Annotated[
        float, Meta(gt=0, le=50, description="ATRs of room in the sizing formula")
    ] = 2.0
    data_age_seconds_max: Annotated[
        float, Meta(gt=0, le=3600, description="age of the touch at which entries stop")
    ] = 60.0
    price_band: Annotated[
        float, Meta(gt=0, le=0.5, description="largest distance of an order from the mark")
    ] = 0.05
    spread_bps_max: Annotated[
        float, Meta(gt=0, le=1000, description="spread above which entries stop, in bps")
    ] = 20.0
    order_answer_seconds: Annotated[
        float, Meta(gt=0, le=600, description="wait for an answer before asking by cloid")
    ] = 10.0
    action_ttl_seconds: Annotated[
        float, Meta(ge=5, le=3600, description="expiresAfter of every order action")
    ] = 30.0
    requests_per_minute_max: Annotated[
        int, Meta(ge=0, le=1200, description="own cap on REST requests, 0 for none")
    ] = 0
    requote_ratio: Annotated[
        float, Meta(ge=0, le=0.1, description="price change below which a quote is left alone")
    ] = 0.0005
    decision_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="longest time between two decisions on a coin")
    ] = 10.0
    reconcile_seconds: Annotated[
        float, Meta(ge=10, le=86_400, description="time between two comparisons with the venue")
    ] = 60.0
    foreign_orders: Annotated[
        Literal["ignore", "adopt", "stop"],
        Meta(
            description="orders of others on the account. ignore: counted against the limits, "
            "never touched; adopt: cancelled in traded coins, as nothing wishes for them; stop: "
            "halt until a person resumes"
        ),
    ] = "ignore"
    foreign_positions: Annotated[
        Literal["ignore", "adopt", "stop"],
        Meta(
            description="positions in coins that are not traded. ignore: counted, left alone; "
            "adopt: given a stop; stop: halt until a person resumes"
        ),
    ] = "ignore"
    flatten_scope: Annotated[
        Literal["account", "traded"],
        Meta(
            description="what flatten and emergencies close and cancel. account: everything, also "
            "what others opened; traded: the traded coins and our own orders"
        ),
    ] = "account"


class ScalpingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scalping: take small reversals of the last minutes' move."""

    enabled: Enabled = True
    entry_deviation: Annotated[
        float, Meta(gt=0, le=0.2, description="distance from the short average that enters")
    ] = 0.002
    exit_deviation: Annotated[
        float, Meta(ge=0, le=0.2, description="distance from the short average that exits")
    ] = 0.0005
    max_position_size: Annotated[
        float, Meta(gt=0, le=1, description="share of equity times leverage that may be used")
    ] = 0.05
    take_profit_ratio: Annotated[
        float, Meta(gt=0, le=50, description="target distance, in entry deviations")
    ] = 1.5
    stop_loss_ratio: Annotated[
        float, Meta(gt=0, le=50, description="stop distance, in entry deviations")
    ] = 1.0


class MeanReversionParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mean reversion: fade a z-score of price against its moving average."""

    enabled: Enabled = True
    lookback_period: Annotated[int, Meta(ge=5, le=500, description="candles of the average")] = 60
    std_dev_multiplier: Annotated[
        float, Meta(gt=0, le=20, description="stop distance, in standard deviations past entry")
    ] = 2.0
    entry_z_score: Annotated[float, Meta(gt=0, le=20, description="z-score that enters")] = 2.0
    exit_z_score: Annotated[float, Meta(ge=0, le=20, description="z-score that exits")] = 0.5


class GridTradingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grid: rest post-only orders on levels around the price."""

    enabled: Enabled = True
    grid_size: Annotated[
        float, Meta(gt=0, le=0.5, description="distance of levels, as a share of the price")
    ] = 0.003
    num_grids: Annotated[int, Meta(ge=2, le=100, description="levels, both sides together")] = 6
    order_quantity: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="coins per level; null: sized by risk"),
    ] = None
    upper_bound: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="highest level, USDC; null: centred on the price"),
    ] = None
    lower_bound: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="lowest level, USDC; null: centred on the price"),
    ] = None


class TrendFollowingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trend following: channel breakout confirmed by moving averages, trailing ATR stop."""

    enabled: Enabled = True
    fast_period: Annotated[int, Meta(ge=2, le=500, description="fast average, candles")] = 20
    slow_period: Annotated[int, Meta(ge=3, le=1000, description="slow average, candles")] = 80
    channel_period: Annotated[int, Meta(ge=2, le=500, description="breakout channel")] = 40
    atr_stop_multiplier: Annotated[float, Meta(gt=0, le=50, description="stop, in ATRs")] = 3.0
    take_profit_ratio: Annotated[
        float, Meta(gt=0, le=50, description="target distance, in stop distances")
    ] = 3.0


class RLAIParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reinforcement learning: a trained policy; refuses to start without its model file."""

    enabled: Enabled = False
    model_path: Annotated[str, Meta(description="file of the trained policy")] = ""
    observation_space: Annotated[
        tuple[str, ...], Meta(description="features the policy sees, in order")
    ] = ("price", "volume", "position", "volatility")
    action_space: Annotated[
        tuple[Literal["buy", "sell", "hold", "close"], ...],
        Meta(description="what the policy may choose, in order"),
    ] = ("buy", "sell", "hold", "close")
    reward_function: Annotated[Literal["pnl_based"], Meta(description="what training rewarded")] = (
        "pnl_based"
    )


class RegimeParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the market regime is judged."""

    adx_period: Annotated[int, Meta(ge=2, le=200, description="candles of the ADX")] = 14
    adx_trending: Annotated[float, Meta(gt=0, lt=100, description="ADX that means trend")] = 25.0
    bollinger_period: Annotated[int, Meta(ge=5, le=500, description="candles of the bands")] = 20
    volatility_period: Annotated[
        int, Meta(ge=5, le=500, description="candles of realised volatility")
    ] = 30
    history_period: Annotated[
        int, Meta(ge=50, le=5000, description="candles that volatility is ranked against")
    ] = 240
    volatile_quantile: Annotated[float, Meta(gt=0, lt=1, description="rank that is volatile")] = 0.9
    calm_quantile: Annotated[float, Meta(gt=0, lt=1, description="rank that is calm")] = 0.2
    confirm_count: Annotated[
        int, Meta(ge=1, le=100, description="candles a new regime must last to count")
    ] = 3


class SelectionParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which strategy trades a coin."""

    fixed_strategy: Annotated[
        str, Meta(description="name of the only strategy to use; empty: choose by regime")
    ] = ""
    switch_advantage: Annotated[
        float, Meta(ge=0, le=1, description="fit by which a challenger must beat the incumbent")
    ] = 0.15
    cool_down_seconds: Annotated[
        float, Meta(ge=0, le=604_800, description="least time between two switches")
    ] = 900.0
    fit_min: Annotated[float, Meta(ge=0, le=1, description="fit under which nobody trades")] = 0.3


class StrategiesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``configs/strategies_config.json``: parameters of each strategy and how one is chosen."""

    scalping: ScalpingParams = ScalpingParams()
    mean_reversion: MeanReversionParams = MeanReversionParams()
    grid_trading: GridTradingParams = GridTradingParams()
    trend_following: TrendFollowingParams = TrendFollowingParams()
    rl_ai: RLAIParams = RLAIParams()
    regime: RegimeParams = RegimeParams()
    selection: SelectionParams = SelectionParams()

    def params_of(self, strategy: str) -> dict[str, Any]:
        """Return one strategy's parameters as a mapping, as `Strategy.run` takes them."""
        return msgspec.to_builtins(getattr(self, strategy))  # type: ignore[no-any-return]


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the engine is configured by; written into the journal's first event."""

    trading: TradingParams = TradingParams()
    strategies: StrategiesConfig = StrategiesConfig()


RegimeFit = dict[Regime, float]
"""How well a strategy suits each regime, 0 (not at all) to 1."""
