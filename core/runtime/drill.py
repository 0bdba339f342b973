"""A fire drill: the user's own configuration through shocks, and which promises held.

Each shock runs the one path in process, over the shipped market, until the system holds a
position; then it strikes, against that position. What is measured is the venue's view, tick by
tick: stops, exposure, equity.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from core.model.codes import Mode, OrderStatus
from core.model.instrument import MICRO_PER_USDC, NOTIONAL_MIN_USDC, usdc
from core.model.settings import EngineConfig
from core.model.time import NS_PER_DAY, NS_PER_S
from core.runtime import compose
from core.runtime.backtest import ACCOUNT
from core.runtime.in_process import InProcessRun, VirtualClock
from core.runtime.session import Session
from core.runtime.shocks import SHOCKS, Shock, ShockedSource
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_COINS, SAMPLE_START_NS, SampleSource
from core.simulation.wire.latency import LatencyModel
from core.utils.config_rules import require_equity

TICKS_PER_BAR = 30
"""The market moves every two seconds: fine enough to measure protection in seconds."""
SEARCH_NS = 2 * NS_PER_DAY
"""How long a position is waited for."""
UNPROTECTED_SECONDS_MAX = 30.0
LOSS_MARGIN_SHARE = 0.02
"""Share of the position's notional that slippage and fees may cost on top of what was planned."""
CURVE_POINTS_MAX = 600


class DrillOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A drill; ``shocks`` are names of `SHOCKS`, all of them by default."""

    shocks: tuple[str, ...] = tuple(shock.name for shock in SHOCKS)
    equity_usdc: float = 10_000.0
    seed: int = 7
    state_dir: Path = Path("logs")
    trading_path: Path | None = None
    strategies_path: Path | None = None


class Promise(msgspec.Struct, frozen=True):
    """One promise, whether it held, and the numbers."""

    name: str
    is_kept: bool
    detail: str


class ShockResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one shock did.

    ``is_struck`` is false if the configuration never held a position: then nothing was tested.
    ``equity_worst_usdc`` is until the position was closed; ``curve`` is equity in USDC over seconds
    since the shock.
    """

    name: str
    title: str
    is_struck: bool
    held: str
    flat_after_s: float | None
    unprotected_s_max: float
    equity_before_usdc: float
    equity_worst_usdc: float
    is_emergency: bool
    promises: tuple[Promise, ...]
    curve: tuple[tuple[float, float], ...]

    @property
    def is_passed(self) -> bool:
        """Whether it struck and every promise held."""
        return self.is_struck and all(promise.is_kept for promise in self.promises)


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """All shocks of a drill."""

    results: tuple[ShockResult, ...]
    directory: str

    @property
    def is_passed(self) -> bool:
        """Whether every shock was passed."""
        return all(result.is_passed for result in self.results)


def run_drill(
    options: DrillOptions, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> DrillReport:
    """Run the shocks one after the other, each from a fresh start.

    Raises
    ------
    ConfigError
        If the configuration is unusable.
    """
    config = compose.load_config(options.trading_path, options.strategies_path)
    require_equity(config, options.equity_usdc)
    coins = tuple(c for c in config.trading.coins if c in SAMPLE_COINS) or SAMPLE_COINS[:1]
    config = compose.with_coins(config, coins)
    name = compose.session_name(Mode.BACKTEST).replace(Mode.BACKTEST.value, "drill")
    directory = compose.session_directory(options.state_dir, name)
    chosen = [shock for shock in SHOCKS if shock.name in options.shocks]
    results = []
    for i, shock in enumerate(chosen):
        on_progress(i / len(chosen))
        results.append(_Drill(options, config, shock, directory).run())
    on_progress(1.0)
    return DrillReport(results=tuple(results), directory=str(directory))


class _Drill:
    """One shock: the system, the market, and what was seen."""

    def __init__(
        self, options: DrillOptions, config: EngineConfig, shock: Shock, directory: Path
    ) -> None:
        self._shock, self._config = shock, config
        market = SampleSource(
            config.trading.coins,
            start_ns=SAMPLE_START_NS,
            seed=options.seed,
            ticks_per_bar=TICKS_PER_BAR,
        )
        self._source = ShockedSource(market, shock)
        self._exchange = SimulatedExchange(market.instruments, start_ns=market.start_ns)
        self._exchange.fund(ACCOUNT, round(options.equity_usdc * MICRO_PER_USDC))
        self._exchange.drain()
        clock = VirtualClock(market.start_ns)
        self._session = compose.build_session(
            mode=Mode.BACKTEST,
            config=config,
            account=ACCOUNT,
            clock=clock,
            directory=compose.session_directory(directory, shock.name),
            seed=options.seed,
            is_durable=False,
        )
        self._run = InProcessRun(
            self._session,
            self._exchange,
            self._source,
            clock=clock,
            account=ACCOUNT,
            params=config.trading,
            latency=LatencyModel(options.seed),
        )
        self._watch = _Watch(self._exchange, self._session)

    def run(self) -> ShockResult:
        """Wait for a position, strike, and watch."""
        watch = self._watch
        give_up_ns = self._source.start_ns + SEARCH_NS
        for now_ns in self._run.run():
            if watch.struck_ns:
                watch.look(now_ns)
                if now_ns - watch.struck_ns >= self._shock.watch_ns:
                    self._session.request_stop("drill is over")
            elif watch.is_ready():
                watch.begin(now_ns)
                self._source.strike(now_ns, is_long=watch.is_long)
            elif now_ns >= give_up_ns:
                self._session.request_stop("no position to shock")
        self._session.close(self._session.stop_reason or "end of data")
        return watch.result(self._shock, self._config)


class _Watch:
    """The venue's view of the account since the shock."""

    def __init__(self, exchange: SimulatedExchange, session: Session) -> None:
        self._exchange, self._session = exchange, session
        self.struck_ns = 0
        self.is_long = True
        self._held: dict[str, int] = {}
        self._notional_usdc = self._before = self._worst = 0.0
        self._flat_ns = self._bare_since_ns = self._bare_ns_max = 0
        self._is_emergency = False
        self._gross_at_emergency = 0
        self._is_reopened = False
        self._curve: list[tuple[float, float]] = []

    def is_ready(self) -> bool:
        """Tell whether a position is held with its stop at the venue, and nothing is under way."""
        summary = self._exchange.account_summary(ACCOUNT)
        if summary.total.notional_micro < NOTIONAL_MIN_USDC * MICRO_PER_USDC or self._bare():
            return False
        orders = self._session.status().orders
        return all(order.status is not OrderStatus.IN_FLIGHT for order in orders)

    def begin(self, now_ns: int) -> None:
        """Note the account at the moment of the shock."""
        summary = self._exchange.account_summary(ACCOUNT)
        self.struck_ns = now_ns
        self._held = {row.coin: row.position_lots for row in summary.positions}
        largest = max(
            summary.positions, key=lambda row: self._notional(row.coin, row.position_lots)
        )
        self.is_long = largest.position_lots > 0
        self._notional_usdc = usdc(summary.total.notional_micro)
        self._before = self._worst = usdc(summary.total.account_value_micro)

    def look(self, now_ns: int) -> None:
        """Measure after a tick."""
        summary = self._exchange.account_summary(ACCOUNT)
        equity = usdc(summary.total.account_value_micro)
        if not self._flat_ns:
            self._worst = min(self._worst, equity)
        self._curve.append(((now_ns - self.struck_ns) / NS_PER_S, equity))
        now = {row.coin: row.position_lots for row in summary.positions}
        if not self._flat_ns and all(now.get(c, 0) * lots <= 0 for c, lots in self._held.items()):
            self._flat_ns = now_ns
        self._look_at_stops(now_ns)
        gross = sum(abs(lots) for lots in now.values())
        if self._is_emergency and gross > self._gross_at_emergency:
            self._is_reopened = True
        self._gross_at_emergency = gross
        self._is_emergency = self._is_emergency or self._session.engine.is_emergency_latched

    def result(self, shock: Shock, config: EngineConfig) -> ShockResult:
        """Judge."""
        flat_s = (self._flat_ns - self.struck_ns) / NS_PER_S if self._flat_ns else None
        held = ", ".join(
            f"{self._exchange.instruments[coin].coins(lots):+g} {coin}"
            for coin, lots in self._held.items()
        )
        return ShockResult(
            name=shock.name,
            title=shock.title,
            is_struck=self.struck_ns > 0,
            held=held,
            flat_after_s=flat_s,
            unprotected_s_max=self._bare_ns_max / NS_PER_S,
            equity_before_usdc=self._before,
            equity_worst_usdc=self._worst,
            is_emergency=self._is_emergency,
            promises=self._promises(shock, config, flat_s) if self.struck_ns else (),
            curve=tuple(self._curve[:: max(1, len(self._curve) // CURVE_POINTS_MAX)]),
        )

    # --- inside ---------------------------------------------------------------------------------

    def _notional(self, coin: str, lots: int) -> int:
        return abs(lots) * self._exchange.mark_px(coin)

    def _bare(self) -> bool:
        """Tell whether any position is larger than the stops that stand for it."""
        stops: dict[tuple[str, bool], int] = {}
        for order in self._exchange.open_orders(ACCOUNT):
            if order.is_trigger and order.reduce_only and order.order_type.startswith("Stop"):
                key = (order.coin, order.is_buy)
                stops[key] = stops.get(key, 0) + order.lots_left
        return any(
            stops.get((row.coin, row.position_lots < 0), 0) < abs(row.position_lots)
            for row in self._exchange.account_summary(ACCOUNT).positions
        )

    def _can_close(self) -> bool:
        """Tell whether there is anybody to trade with: without a book no stop can be placed."""
        return all(
            self._exchange.book(row.coin)[0 if row.position_lots > 0 else 1]
            for row in self._exchange.account_summary(ACCOUNT).positions
        )

    def _look_at_stops(self, now_ns: int) -> None:
        if not self._bare() or not self._can_close():
            self._bare_since_ns = 0
            return
        self._bare_since_ns = self._bare_since_ns or now_ns
        self._bare_ns_max = max(self._bare_ns_max, now_ns - self._bare_since_ns)

    def _promises(
        self, shock: Shock, config: EngineConfig, flat_s: float | None
    ) -> tuple[Promise, ...]:
        bare_s = self._bare_ns_max / NS_PER_S
        lost = self._before - self._worst
        allowed = self._loss_allowed(shock, config)
        liquidated = len(self._exchange.liquidations(ACCOUNT))
        error = self._exchange.conservation_error_micro()
        promises = [
            Promise(
                "a stop stands at the venue",
                bare_s <= UNPROTECTED_SECONDS_MAX,
                f"longest gap {bare_s:.0f} s while there was a book, at most "
                f"{UNPROTECTED_SECONDS_MAX:.0f} s",
            ),
            Promise(
                "the loss is bounded",
                lost <= allowed,
                f"lost {lost:.2f} USDC before the position was closed, at most {allowed:.2f}",
            ),
            Promise(
                "no new exposure after an emergency",
                not self._is_reopened,
                "emergency" if self._is_emergency else "no emergency was needed",
            ),
            Promise("nothing is liquidated", liquidated == 0, f"{liquidated} liquidations"),
            Promise("money is conserved", error == 0, f"off by {error} micro-USDC"),
        ]
        if shock.flat_within_ns:
            limit_s = shock.flat_within_ns / NS_PER_S
            is_in_time = flat_s is not None and flat_s <= limit_s
            after = "never" if flat_s is None else f"after {flat_s:.0f} s"
            promises.insert(
                1,
                Promise("the position is closed", is_in_time, f"{after}, within {limit_s:.0f} s"),
            )
        return tuple(promises)

    def _loss_allowed(self, shock: Shock, config: EngineConfig) -> float:
        """Return the most that may be lost: the planned risk, what jumps past a stop, slippage."""
        planned = config.trading.max_risk_per_trade * len(self._held) * self._before
        return planned + (shock.jump_share + LOSS_MARGIN_SHARE) * self._notional_usdc
