"""Build the parts of a system and plug them together. Holds the only branch on the mode."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec

import core
from core.analytics.performance_tracker import PerformanceTracker
from core.engines.trading_engine import TradingEngine
from core.model.codes import Mode
from core.model.errors import ConsentError, ExitCode
from core.model.events import SessionStarted, StateCarried
from core.model.ports import Clock, SnapshotSink
from core.model.settings import EngineConfig
from core.model.step import Step
from core.runtime.options import BacktestOptions, LiveOptions, Outcome
from core.runtime.session import Session
from core.simulation.market.candle_source import CandleSource
from core.simulation.market.sample_source import SampleSource
from core.simulation.market.source import MarketSource
from core.strategies import default_strategies
from core.utils.config_loader import load_engine_config
from core.utils.journal import SqliteJournal
from core.utils.journal_reader import JournalReader
from core.utils.logger import Logger

JOURNAL_NAME = "journal.sqlite"
URL_MAINNET = "https://api.hyperliquid.xyz"
URL_TESTNET = "https://api.hyperliquid-testnet.xyz"
CONFIG_DIR = Path("configs")


def load_config(trading_path: Path | None, strategies_path: Path | None) -> EngineConfig:
    """Load the configuration; files not named are taken from ``configs/`` where they exist."""
    return load_engine_config(
        trading_path or _existing(CONFIG_DIR / "trading_params.json"),
        strategies_path or _existing(CONFIG_DIR / "strategies_config.json"),
    )


def with_coins(config: EngineConfig, coins: tuple[str, ...]) -> EngineConfig:
    """Return the configuration with other coins to trade."""
    trading = msgspec.structs.replace(config.trading, coins=coins)
    return msgspec.structs.replace(config, trading=trading)


def market_source(options: BacktestOptions, config: EngineConfig) -> MarketSource:
    """Open the market data of a backtest: the files named, or the shipped sample."""
    if options.data is not None:
        return CandleSource(
            options.data, start_ns=options.start_ns, end_ns=options.end_ns, seed=options.seed
        )
    return SampleSource(
        options.coins or config.trading.coins,
        start_ns=options.start_ns,
        end_ns=options.end_ns,
        seed=options.seed,
    )


def base_url_of(options: LiveOptions) -> str:
    """Choose the venue, and refuse real money that was asked for only once.

    Raises
    ------
    ConsentError
        If the mode is live and ``consent`` is not given.
    """
    if options.mode is Mode.LIVE and not options.consent:
        raise ConsentError(
            "live trading should be asked for twice, was asked for once; "
            "add --yes-live after reading docs/USER_GUIDE.md, section 'From paper to live'"
        )
    return options.base_url or url_of(options.mode)


def url_of(mode: Mode) -> str:
    """Return the REST address of the venue that a mode means: mainnet only for real money."""
    return URL_MAINNET if mode is Mode.LIVE else URL_TESTNET


def session_name(mode: Mode, now: dt.datetime | None = None) -> str:
    """Name a session after its mode and its start in UTC."""
    stamp = (now or dt.datetime.now(tz=dt.UTC)).strftime("%Y%m%dT%H%M%S")
    return f"{mode.value}-{stamp}"


def session_directory(state_dir: Path, session: str) -> Path:
    """Create the folder of a session; two sessions never share one."""
    directory = state_dir / session
    count = 1
    while directory.exists():
        count += 1
        directory = state_dir / f"{session}-{count}"
    # Positions and an address are nobody else's business.
    directory.mkdir(mode=0o700, parents=True)
    return directory


def build_engine(config: EngineConfig, *, account: str) -> TradingEngine:
    """Build an engine with the shipped strategies that the configuration enables.

    Raises
    ------
    ConfigError
        If a strategy is enabled that cannot run.
    """
    manager = default_strategies(config.strategies)
    enabled = [s for s in manager if getattr(config.strategies, s.name).enabled]
    return TradingEngine(config, enabled, account=account)


def build_session(
    *,
    mode: Mode,
    config: EngineConfig,
    account: str,
    clock: Clock,
    directory: Path,
    seed: int,
    on_step: Callable[[Step], None] | None = None,
    is_durable: bool = True,
    carried: StateCarried | None = None,
    snapshots: SnapshotSink | None = None,
) -> Session:
    """Build engine, journal and session, and put the first events into the journal.

    Parameters
    ----------
    is_durable : bool
        False spares the disk where nothing real can be lost (backtests).
    carried : StateCarried, optional
        What an earlier session of the account left; this one continues it.
    snapshots : SnapshotSink, optional
        Where copies of the state go, for the session after this one.
    """
    path = directory / JOURNAL_NAME
    journal = SqliteJournal(path, session=directory.name, is_durable=is_durable)
    engine = build_engine(config, account=account)
    session = Session(engine, journal, clock, on_step=on_step, snapshots=snapshots)
    session.emit(
        SessionStarted(
            session=directory.name,
            mode=mode,
            account=account,
            version=core.__version__,
            config_json=msgspec.json.encode(config).decode(),
            seed=seed,
        )
    )
    if carried is not None:
        session.emit(carried)
    session.make_durable()
    return session


def outcome_of(session: Session, directory: Path, *, assumptions: tuple[str, ...]) -> Outcome:
    """Read the finished session back from its journal: what is reported is what is on disk."""
    journal_path = directory / JOURNAL_NAME
    with JournalReader(journal_path) as reader:
        record = reader.session_record()
    record = msgspec.structs.replace(record, assumptions=assumptions)
    return Outcome(
        record=record,
        directory=directory,
        journal_path=journal_path,
        exit_code=_exit_code(session),
        reason=session.stop_reason,
    )


def pnl_report(directory: Path) -> object:
    """Return the performance report of a session so far, as plain data."""
    with JournalReader(directory / JOURNAL_NAME) as reader:
        record = reader.session_record()
    return msgspec.to_builtins(PerformanceTracker().track_metrics(record))


def step_logger(logger: Logger) -> Callable[[Step], None]:
    """Return what turns steps into log lines: transitions and outcomes, never states."""

    def log(step: Step) -> None:
        for alert in step.alerts:
            getattr(logger, alert.level)(alert.name, detail=alert.detail, seq=step.seq)
        for row in step.orders:
            logger.info(
                "order",
                seq=step.seq,
                cloid=row.cloid,
                coin=row.coin,
                purpose=row.purpose.value,
                status=row.status.value,
                detail=row.detail,
            )
        for fill in step.fills:
            logger.info(
                "fill",
                seq=step.seq,
                coin=fill.fill.coin,
                strategy=fill.strategy,
                is_buy=fill.fill.is_buy,
                px=fill.fill.px,
                lots=fill.fill.lots,
                fee_micro=fill.fill.fee_micro,
            )

    return log


def timer_seconds_of(speed: float) -> float:
    """Space timer ticks at one second, and no closer than 25 ms of wall time."""
    return max(1.0, 0.025 * speed)


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None


def _exit_code(session: Session) -> ExitCode:
    if session.failure is not None:
        return ExitCode.JOURNAL
    if session.engine.is_emergency_latched:
        return ExitCode.HALTED_BY_RISK
    return ExitCode.OK
