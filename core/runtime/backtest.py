"""The one path over recorded candles, in process and on virtual time."""

from __future__ import annotations

from collections.abc import Callable

from core.model.codes import Mode
from core.model.errors import DataFileError
from core.model.instrument import MICRO_PER_USDC
from core.model.settings import EngineConfig
from core.runtime import compose
from core.runtime.in_process import InProcessRun, VirtualClock
from core.runtime.options import BacktestOptions, Outcome
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.source import MarketSource
from core.simulation.wire.latency import LatencyModel
from core.utils.config_rules import require_equity

ACCOUNT = "0x00000000000000000000000000000000000bac7e"
"""The account of every backtest, so that equal runs give equal client order ids."""

PROGRESS_EVERY = 500


def run_backtest(
    options: BacktestOptions, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> Outcome:
    """Run a backtest to the end of its data.

    Parameters
    ----------
    on_progress : callable
        Called with the fraction done, 0 to 1.

    Raises
    ------
    ConfigError
        If the configuration is unusable.
    DataFileError
        If market data is missing, malformed or too short.
    """
    config = compose.load_config(options.trading_path, options.strategies_path)
    require_equity(config, options.equity_usdc)
    source = compose.market_source(options, config)
    return replay_market(options, config, source, on_progress=on_progress)


def replay_market(
    options: BacktestOptions,
    config: EngineConfig,
    source: MarketSource,
    *,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Outcome:
    """Run the configured system over one market source."""
    span_ns = source.end_ns - source.start_ns
    if span_ns <= 0:
        raise DataFileError(
            f"market data should span some time, spans {span_ns} ns; check --from and --to"
        )
    config = compose.with_coins(config, tuple(source.coins))
    clock = VirtualClock(source.start_ns)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    exchange.fund(ACCOUNT, round(options.equity_usdc * MICRO_PER_USDC))
    exchange.drain()
    directory = compose.session_directory(options.state_dir, compose.session_name(Mode.BACKTEST))
    session = compose.build_session(
        mode=Mode.BACKTEST,
        config=config,
        account=ACCOUNT,
        clock=clock,
        directory=directory,
        seed=options.seed,
        is_durable=False,
    )
    run = InProcessRun(
        session,
        exchange,
        source,
        clock=clock,
        account=ACCOUNT,
        params=config.trading,
        latency=LatencyModel(options.seed),
    )
    for tick_count, now_ns in enumerate(run.run()):
        if tick_count % PROGRESS_EVERY == 0:
            on_progress((now_ns - source.start_ns) / span_ns)
    on_progress(1.0)
    error_micro = exchange.conservation_error_micro()
    assert error_micro == 0, f"invariant: the venue conserves money, was off by {error_micro}"
    session.stop_reason = session.stop_reason or "end of data"
    session.close(session.stop_reason)
    return compose.outcome_of(session, directory, assumptions=tuple(source.assumptions))
