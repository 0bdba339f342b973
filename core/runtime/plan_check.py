"""How much money a configuration needs before the venue would take its orders.

Asks the strategies themselves, on the coin's own recent candles, what they would last have wished,
sizes it with the engine's own formula, and looks for the smallest equity at which every opening
order reaches the venue's minimum. It knows no account and sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from core.engines.decision import params_of
from core.engines.position_sizing import PositionSizing, SizingFacts, is_tradable
from core.engines.token_metadata import TokenMetadata, volatility_profile
from core.model.codes import Direction
from core.model.errors import GridError
from core.model.instrument import Instrument
from core.model.intents import Intent, TargetPosition, TargetQuotes
from core.model.market import Candle, FloatArray, MarketView
from core.model.ports import Strategy
from core.model.settings import EngineConfig
from core.strategies import default_strategies

EQUITY_USDC_MAX = 1e9
EQUITY_PRECISION = 0.005
"""Share by which the equity named may exceed the least one."""
CANDLES_LOOKED_AT = 240
"""How far back a wish is looked for; strategies that enter rarely may have had none."""
SPREAD_SHARE = 1e-5
"""Half-spread of the touch that past candles are given: they do not record one."""


class PlanNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy needs on one coin.

    Parameters
    ----------
    equity_usdc : float or None
        Least equity at which all its opening orders are taken; ``None`` if none would do.
    orders_count : int
        Opening orders that exist at once.
    bound_by : str
        What limits the size, in the words of `core.engines.position_sizing`.
    is_seen : bool
        Whether the strategy wished to enter within the candles looked at. Otherwise the size is
        that of an entry at the last price, before its stop is known.
    """

    strategy: str
    coin: str
    equity_usdc: float | None
    orders_count: int
    bound_by: str
    is_seen: bool


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """An opening wish with the market it was made in."""

    price: float
    atr: float
    stop_price: float | None
    strength: float
    opening_count: int
    own_coins: tuple[float, ...]
    prices: tuple[float, ...]
    is_seen: bool


def plan_needs(
    config: EngineConfig, instrument: Instrument, candles: Sequence[Candle]
) -> list[PlanNeed]:
    """Return what each strategy that may be chosen needs on one coin.

    Parameters
    ----------
    candles : sequence of Candle
        Closed candles of ``config.trading.candle_interval``, oldest first.
    """
    fixed = config.strategies.selection.fixed_strategy
    market = _Market(config, instrument, candles)
    return [
        market.need(strategy)
        for strategy in default_strategies(config.strategies)
        if getattr(config.strategies, strategy.name).enabled and fixed in ("", strategy.name)
    ]


class _Market:
    """One coin's recent past and the sizing that applies to it."""

    def __init__(
        self, config: EngineConfig, instrument: Instrument, candles: Sequence[Candle]
    ) -> None:
        self._config, self._instrument = config, instrument
        self._sizing = PositionSizing(config.trading)
        tokens = TokenMetadata(config.trading)
        tokens.list((instrument,))
        self._leverage = tokens.leverage_of(instrument.coin)
        scale = instrument.px_scale
        self._closes = _column([c.close_px / scale for c in candles])
        self._highs = _column([c.high_px / scale for c in candles])
        self._lows = _column([c.low_px / scale for c in candles])
        self._volumes = _column([c.volume_lots / instrument.lots_scale for c in candles])
        self._open_ns = [c.open_ns for c in candles]

    def need(self, strategy: Strategy) -> PlanNeed:
        """Return what a strategy needs here."""
        params = params_of(self._config.strategies, strategy.name)
        wish = self._last_wish(strategy) or self._assumed_wish()
        share = params.get("max_position_size")
        equity = None if wish is None else self._least_equity(wish, share)
        bound_by = "too few candles to judge"
        if wish is not None:
            bound_by = self._sizing.size(
                self._instrument, self._facts(wish, share, equity or EQUITY_USDC_MAX)
            ).bound_by
        return PlanNeed(
            strategy=strategy.name,
            coin=self._instrument.coin,
            equity_usdc=equity,
            orders_count=1 if wish is None else wish.opening_count,
            bound_by=bound_by,
            is_seen=wish is not None and wish.is_seen,
        )

    def _last_wish(self, strategy: Strategy) -> _Wish | None:
        """Return the latest opening wish of a flat account, going back candle by candle."""
        params = params_of(self._config.strategies, strategy.name)
        count = self._closes.size
        for end in range(count, max(count - CANDLES_LOOKED_AT, strategy.warm_up_count), -1):
            view = self._view(end)
            for intent in strategy.run(view, params):
                if (wish := _opening(intent, view)) is not None:
                    return wish
        return None

    def _assumed_wish(self) -> _Wish | None:
        if not self._closes.size:
            return None
        view = self._view(self._closes.size)
        return _Wish(
            price=view.price,
            atr=view.atr,
            stop_price=None,
            strength=1.0,
            opening_count=1,
            own_coins=(),
            prices=(view.price,),
            is_seen=False,
        )

    def _view(self, end: int) -> MarketView:
        closes, highs, lows = self._closes[:end], self._highs[:end], self._lows[:end]
        regime = self._config.strategies.regime
        profile = volatility_profile(
            closes,
            highs,
            lows,
            atr_period=regime.adx_period,
            sigma_period=regime.volatility_period,
        )
        price = float(closes[-1])
        return MarketView(
            coin=self._instrument.coin,
            now_ns=self._open_ns[end - 1],
            price=price,
            bid=price * (1.0 - SPREAD_SHARE),
            ask=price * (1.0 + SPREAD_SHARE),
            closes=closes,
            highs=highs,
            lows=lows,
            volumes=self._volumes[:end],
            atr=profile.atr,
            sigma=profile.sigma,
            volatility_scale=profile.scale,
        )

    def _facts(self, wish: _Wish, share: float | None, equity: float) -> SizingFacts:
        trading = self._config.trading
        return SizingFacts(
            equity_usdc=equity,
            margin_free_usdc=equity * trading.max_margin_use,
            exposure_free_usdc=equity * trading.max_exposure_ratio,
            leverage=self._leverage,
            price=wish.price,
            atr=wish.atr,
            stop_price=wish.stop_price,
            strategy_share=share,
            strength=wish.strength,
        )

    def _is_enough(self, wish: _Wish, share: float | None, equity: float) -> bool:
        """Tell whether every opening order would reach the venue's minimum."""
        instrument = self._instrument
        total = self._sizing.size(instrument, self._facts(wish, share, equity)).lots
        own = [instrument.lots_floor(coins) for coins in wish.own_coins]
        if sum(own) > total:
            return False
        each = own or [total // wish.opening_count]
        try:
            pxs = [instrument.px_units_on_grid(price, is_buy=True) for price in wish.prices]
        except GridError:
            return False
        return all(is_tradable(instrument, lots=lots, px=min(pxs)) for lots in each)

    def _least_equity(self, wish: _Wish, share: float | None) -> float | None:
        """Bisect for the least equity: more money never makes an order smaller."""
        high = 1.0
        while not self._is_enough(wish, share, high):
            high *= 2.0
            if high > EQUITY_USDC_MAX:
                return None
        low = high / 2.0
        while high - low > EQUITY_PRECISION * high:
            middle = (low + high) / 2.0
            if self._is_enough(wish, share, middle):
                high = middle
            else:
                low = middle
        return high


def _opening(intent: Intent, view: MarketView) -> _Wish | None:
    """Return what a wish would open, None if it opens nothing."""
    if isinstance(intent, TargetPosition):
        if intent.direction is Direction.FLAT:
            return None
        price = intent.entry_price or view.price
        return _Wish(
            price=price,
            atr=view.atr,
            stop_price=intent.stop_price,
            strength=intent.strength,
            opening_count=1,
            own_coins=(),
            prices=(price,),
            is_seen=True,
        )
    return _opening_quotes(intent, view)


def _opening_quotes(intent: TargetQuotes, view: MarketView) -> _Wish | None:
    """Return the fuller side of a set of quotes: the engine shares a size among its orders."""
    sides = [
        [q for q in intent.quotes if not q.is_reducing and q.is_buy is is_buy]
        for is_buy in (True, False)
    ]
    side = max(sides, key=len)
    if not side:
        return None
    return _Wish(
        price=view.price,
        atr=view.atr,
        stop_price=intent.stop_price,
        strength=1.0,
        opening_count=len(side),
        own_coins=tuple(q.coins for q in side if q.coins is not None),
        prices=tuple(q.price for quotes in sides for q in quotes),
        is_seen=True,
    )


def _column(values: list[float]) -> FloatArray:
    column = np.array(values, dtype=np.float64)
    column.flags.writeable = False
    return column
