"""Decide one coin: judge its regime, choose a strategy, hear its wish, size it.

The only place where floats for strategies are made. Sends nothing and places nothing: what comes
out is the desk's standing wish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from core.engines.context import Context
from core.engines.desk import Desk
from core.engines.exposure import exposures
from core.engines.market_regime import MarketRegime
from core.engines.market_state import CoinMarket
from core.engines.position_sizing import PositionSizing, SizingFacts
from core.engines.strategy_choice import StrategyChoice
from core.engines.token_metadata import volatility_profile
from core.model.codes import Direction, RefusalCode
from core.model.errors import GridError, NovaError
from core.model.instrument import Instrument, usdc
from core.model.intents import Intent, TargetPosition, TargetQuotes
from core.model.market import MarketView
from core.model.ports import Strategy
from core.model.settings import StrategiesConfig
from core.model.time import NS_PER_S

RESIZE_SHARE_MIN = 0.1
"""A wish that stands is sized again only if the size differs by more than a tenth."""
REQUOTE_SHARE = 0.25
"""Quotes are cut anew only if their number changes so much; a grid gains and loses one often."""
QUOTES_MAX = 100


class Decider:
    """Turn a coin's market into its desk's standing wish."""

    def __init__(self, context: Context, strategies: Sequence[Strategy]) -> None:
        self._context = context
        self._strategies = {s.name: s for s in strategies}
        self._order = tuple(strategies)
        self.configure()

    def configure(self) -> None:
        """Take over the parameters in force."""
        config = self._context.config
        self._regime = MarketRegime(config.strategies.regime)
        self._choice = StrategyChoice(self._order, config.strategies.selection)
        self._sizing = PositionSizing(config.trading)
        self._params = {name: params_of(config.strategies, name) for name in self._strategies}
        self._warm_up = {
            s.name: max(s.warm_up_count, *_periods(self._params[s.name])) for s in self._order
        }

    @property
    def strategies(self) -> dict[str, Strategy]:
        """Strategies by name."""
        return self._strategies

    def warm_up_count(self, desk: Desk) -> int:
        """Return the closed candles that a desk's strategy needs."""
        return max(self._regime.candle_count_min, self._warm_up.get(desk.strategy, 0))

    def judge(self, desk: Desk, market: CoinMarket, instrument: Instrument) -> None:
        """Judge regime and volatility; called once per closed candle."""
        columns = market.columns(instrument)
        regime = self._context.config.strategies.regime
        judgement = self._regime.judge(columns.closes, columns.highs, columns.lows)
        self._regime.settle(desk.regime, judgement)
        desk.profile = volatility_profile(
            columns.closes,
            columns.highs,
            columns.lows,
            atr_period=regime.adx_period,
            sigma_period=regime.volatility_period,
        )

    def decide(self, desk: Desk) -> None:
        """Choose, ask and size; the desk's orders are compared afterwards if its wish changed."""
        context = self._context
        instrument = context.tokens.instruments.get(desk.coin)
        market = context.market.coins[desk.coin]
        if instrument is None or not market.mid_x2 or not desk.is_traded:
            return
        desk.decided_ns, desk.is_due = context.facts.now_ns, False
        self._choose(desk)
        strategy = self._strategies.get(desk.strategy)
        if desk.must_leave or strategy is None:
            context.touch(desk)
        elif market.ring.count < (needed := self.warm_up_count(desk)):
            desk.drop_wish()
            detail = f"{strategy.name} needs {needed} closed candles, had {market.ring.count}"
            context.refuse(desk, RefusalCode.DATA_WARMING_UP, detail)
        else:
            if desk.refusal is RefusalCode.DATA_WARMING_UP:
                context.allow(desk)
            for intent in self._ask(desk, strategy, self.view(desk, market, instrument)):
                self._adopt(desk, intent, instrument)
            self._size(desk, market, instrument)
        context.note_decision(desk)

    def view(self, desk: Desk, market: CoinMarket, instrument: Instrument) -> MarketView:
        """Return what a strategy may know, as floats."""
        context, columns = self._context, market.columns(instrument)
        now_ns, scale = context.facts.now_ns, instrument.px_scale
        position = context.account.positions.get(desk.coin)
        entry = context.account.entry_px(desk.coin) / scale
        return MarketView(
            coin=desk.coin,
            now_ns=now_ns,
            price=market.mid_x2 / (2 * scale),
            bid=market.bid_px / scale,
            ask=market.ask_px / scale,
            closes=columns.closes,
            highs=columns.highs,
            lows=columns.lows,
            volumes=columns.volumes,
            imbalance_5=market.imbalance_5,
            atr=desk.profile.atr,
            sigma=desk.profile.sigma,
            volatility_scale=desk.profile.scale,
            regime=desk.regime.regime,
            regime_confidence=desk.regime.confidence,
            position_coins=position.lots / instrument.lots_scale if position else 0.0,
            entry_price=entry,
            position_age_s=(now_ns - position.opened_ns) / NS_PER_S if position else 0.0,
            funding_rate_1h=market.funding_rate_1h,
        )

    def _choose(self, desk: Desk) -> None:
        facts = self._context.facts
        choice = self._choice.choose(
            incumbent=desk.strategy,
            since_ns=desk.strategy_since_ns,
            now_ns=facts.now_ns,
            regime=desk.regime.regime,
            confidence=desk.regime.confidence,
            has_position=self._context.account.lots(desk.coin) != 0,
            stopped=facts.stopped,
        )
        if choice.strategy != desk.strategy:
            desk.strategy, desk.strategy_since_ns = choice.strategy, facts.now_ns
            desk.drop_wish()
            self._context.allow(desk)
            self._context.touch(desk)
        desk.strategy_reason, desk.must_leave = choice.reason, choice.must_leave
        if choice.must_leave:
            # Not the strategy's own word: it is overruled by a wish to hold nothing.
            desk.wish = _flat(desk, choice.reason)

    def _ask(self, desk: Desk, strategy: Strategy, view: MarketView) -> list[Intent]:
        """Run the strategy; one that raises is stopped, not the engine."""
        try:
            return strategy.run(view, self._params[strategy.name])
        except (ArithmeticError, LookupError, TypeError, ValueError, NovaError) as error:
            context = self._context
            text = f"{type(error).__name__}: {error}"
            context.facts.stopped[strategy.name] = f"stopped after failing: {text}"
            context.refuse(desk, RefusalCode.STRATEGY_FAILED, text)
            context.alert("error", "strategy_failed", f"{strategy.name} on {desk.coin}: {text}")
            for each in context.desks.values():
                each.is_due = True
            desk.wish = _flat(desk, "the strategy failed")
            context.touch(desk)
            return []

    def _adopt(self, desk: Desk, intent: Intent, instrument: Instrument) -> None:
        """Let a wish replace the standing one, unless it makes no sense."""
        context = self._context
        problem = self._problem(desk, intent, instrument)
        if problem is not None:
            context.refuse(desk, *problem)
            if isinstance(intent, TargetPosition) and context.account.lots(desk.coin):
                return
            desk.drop_wish()
            context.touch(desk)
            return
        if intent == desk.wish:
            return
        if _opens(intent) and self._is_barred(desk, intent):
            if desk.wish is not None:
                desk.drop_wish()
                context.touch(desk)
            desk.strategy_reason = "waits after a close before it enters again"
            return
        if not _is_continuation(desk.wish, intent):
            desk.wish_lots = desk.quote_lots = 0
            context.allow(desk)
        desk.wish = intent
        self.set_bracket(desk, intent, instrument)
        context.touch(desk)

    def _problem(
        self, desk: Desk, intent: Intent, instrument: Instrument
    ) -> tuple[RefusalCode, str] | None:
        """Return why a wish cannot stand: foreign coin, impossible prices, no stop."""
        if intent.coin != desk.coin:
            return RefusalCode.STRATEGY_FAILED, f"wished for {intent.coin} on {desk.coin}"
        prices = [intent.stop_price, intent.target_price]
        if isinstance(intent, TargetPosition):
            prices.append(intent.entry_price)
            if not 0.0 < intent.strength <= 1.0:
                return RefusalCode.STRATEGY_FAILED, f"strength was {intent.strength}"
            is_guarded = desk.stop_px > 0 and self._holds(desk, intent.direction)
            if _opens(intent) and intent.stop_price is None and not is_guarded:
                return RefusalCode.STOP_MISSING, "a wish that opens exposure carries a stop"
        else:
            prices += [quote.price for quote in intent.quotes]
            if any(q.coins is not None and not 0.0 < q.coins < math.inf for q in intent.quotes):
                return RefusalCode.STRATEGY_FAILED, "a quote's size was no finite number above 0"
            if len(intent.quotes) > QUOTES_MAX:
                return RefusalCode.ORDERS_TOO_MANY, f"{len(intent.quotes)} quotes"
        least = 1.0 / instrument.px_scale
        bad = [p for p in prices if p is not None and not least <= p < math.inf]
        return (RefusalCode.STRATEGY_FAILED, f"price was {bad[0]}") if bad else None

    def _holds(self, desk: Desk, direction: Direction) -> bool:
        lots = self._context.account.lots(desk.coin)
        return lots > 0 if direction is Direction.LONG else lots < 0

    def _is_barred(self, desk: Desk, intent: Intent) -> bool:
        if self._context.account.lots(desk.coin):
            return False
        now_ns = self._context.facts.now_ns
        if isinstance(intent, TargetPosition):
            return desk.is_barred(intent.direction, now_ns)
        return desk.is_barred(Direction.LONG, now_ns) or desk.is_barred(Direction.SHORT, now_ns)

    def set_bracket(self, desk: Desk, intent: Intent, instrument: Instrument) -> None:
        """Put the wish's stop and target on the grid, for the position it is about.

        A wish against the position leaves its guards alone. The stop of a directional position
        only ever tightens.
        """
        lots = self._context.account.lots(desk.coin)
        if isinstance(intent, TargetPosition):
            if intent.direction is Direction.FLAT:
                return
            is_long = intent.direction is Direction.LONG
            if lots and (lots > 0) is not is_long:
                return
        else:
            if not lots:
                desk.stop_px = desk.target_px = 0
                return
            is_long = lots > 0
        stop_px = _guard_px(instrument, intent.stop_price, is_long)
        if lots and desk.stop_px and isinstance(intent, TargetPosition):
            tightest = max if is_long else min
            stop_px = tightest(stop_px, desk.stop_px) if stop_px else desk.stop_px
        desk.stop_px = stop_px
        desk.target_px = _guard_px(instrument, intent.target_price, is_long)

    def _size(self, desk: Desk, market: CoinMarket, instrument: Instrument) -> None:
        """Size the standing wish; what is held or being entered keeps its size."""
        wish = desk.wish
        if wish is None or not _opens(wish):
            return
        is_engaged = self._context.account.lots(desk.coin) != 0
        if is_engaged and desk.wish_lots:
            return
        opening = 1
        if isinstance(wish, TargetQuotes):
            opens = [q.is_buy for q in wish.quotes if not q.is_reducing]
            opening = max(1, sum(opens), len(opens) - sum(opens))
        size = self._sizing.size(instrument, self._sizing_facts(desk, market, instrument, wish))
        desk.bound_by = size.bound_by
        if abs(size.lots - desk.wish_lots) > RESIZE_SHARE_MIN * desk.wish_lots:
            desk.wish_lots, desk.quote_lots = size.lots, size.lots // opening
            self._context.touch(desk)
        elif abs(desk.wish_lots // opening - desk.quote_lots) > REQUOTE_SHARE * desk.quote_lots:
            desk.quote_lots = desk.wish_lots // opening
            self._context.touch(desk)

    def _sizing_facts(
        self, desk: Desk, market: CoinMarket, instrument: Instrument, wish: Intent
    ) -> SizingFacts:
        context, trading = self._context, self._context.trading
        equity = usdc(context.equity_micro())
        others = [e for e in exposures(context) if e.coin != desk.coin]
        margin = usdc(sum(e.worst_micro() // max(1, e.leverage) for e in others))
        price, strength = market.mid_x2 / (2 * instrument.px_scale), 1.0
        if isinstance(wish, TargetPosition):
            price, strength = wish.entry_price or price, wish.strength
        return SizingFacts(
            equity_usdc=equity,
            margin_free_usdc=equity * trading.max_margin_use - margin,
            exposure_free_usdc=equity * trading.max_exposure_ratio
            - usdc(sum(e.worst_micro() for e in others)),
            leverage=desk.leverage_set or context.tokens.leverage_of(desk.coin),
            price=price,
            atr=desk.profile.atr,
            stop_price=wish.stop_price,
            strategy_share=self._params[desk.strategy].get("max_position_size"),
            strength=strength,
        )


def params_of(config: StrategiesConfig, name: str) -> dict[str, Any]:
    """Return a strategy's configured parameters; one that has no section has none."""
    return config.params_of(name) if name in config.__struct_fields__ else {}


def _periods(params: dict[str, Any]) -> list[int]:
    """Return the closed candles that each configured period needs; 0 where there is none."""
    return [0, *(value + 1 for key, value in params.items() if key.endswith("_period"))]


def _flat(desk: Desk, reason: str) -> TargetPosition:
    return TargetPosition(
        coin=desk.coin, strategy=desk.strategy, direction=Direction.FLAT, reason=reason
    )


def _opens(intent: Intent) -> bool:
    """Tell whether a wish may open exposure."""
    if isinstance(intent, TargetPosition):
        return intent.direction is not Direction.FLAT
    return any(not q.is_reducing for q in intent.quotes)


def _is_continuation(before: Intent | None, after: Intent) -> bool:
    """Tell whether a wish only moves prices of the one before it, so that its size stays."""
    if isinstance(before, TargetPosition) and isinstance(after, TargetPosition):
        is_same_size = abs(before.strength - after.strength) <= RESIZE_SHARE_MIN
        return before.direction is after.direction and is_same_size
    return isinstance(before, TargetQuotes) and isinstance(after, TargetQuotes)


def _guard_px(instrument: Instrument, price: float | None, is_long: bool) -> int:
    """Return a stop or target on the grid, 0 for none; a price off any grid is none."""
    if price is None:
        return 0
    try:
        return instrument.px_units_on_grid(price, is_buy=not is_long)
    except GridError:
        return 0
