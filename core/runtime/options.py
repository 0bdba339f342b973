"""What a run is asked to do and what came of it, as plain frozen structs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from core.model.codes import Mode
from core.model.errors import ExitCode
from core.model.record import SessionRecord

SPEED_DEMO = 1440.0
"""One day of market per minute of wall time."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A run against the local exchange on loopback; ``duration_s`` is wall time."""

    speed: float = SPEED_DEMO
    duration_s: float | None = None
    seed: int = 7
    coins: tuple[str, ...] = ("BTC", "ETH", "SOL")
    state_dir: Path = Path("logs")
    trading_path: Path | None = None
    strategies_path: Path | None = None
    port: int = 0
    equity_usdc: float = 10_000.0


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A run with a real key; ``consent`` is the second yes that ``Mode.LIVE`` needs."""

    mode: Mode = Mode.TESTNET
    base_url: str | None = None
    account: str | None = None
    consent: bool = False
    state_dir: Path = Path("logs")
    trading_path: Path | None = None
    strategies_path: Path | None = None
    duration_s: float | None = None


class PaperOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A run on a venue's live market data with a local account that nobody can lose."""

    base_url: str | None = None
    equity_usdc: float = 10_000.0
    seed: int = 7
    state_dir: Path = Path("logs")
    trading_path: Path | None = None
    strategies_path: Path | None = None
    duration_s: float | None = None


class BacktestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A run in process over candles; ``data`` of ``None`` is the shipped sample."""

    data: dict[str, Path] | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    seed: int = 7
    coins: tuple[str, ...] | None = None
    equity_usdc: float = 10_000.0
    state_dir: Path = Path("logs")
    trading_path: Path | None = None
    strategies_path: Path | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished run leaves: numbers, files, and why it ended."""

    record: SessionRecord
    directory: Path
    journal_path: Path
    exit_code: ExitCode
    reason: str
