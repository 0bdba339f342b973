"""What the engine did with one event: the record that everything outside the engine reads."""

from __future__ import annotations

import msgspec

from core.model.account import AttributedFill, EquityPoint, OrderRow
from core.model.codes import RefusalCode, Regime, TradingState
from core.model.commands import Command


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Our own no, with the numbers behind it: ``detail`` reads like ``was 5, limit 5``."""

    code: RefusalCode
    coin: str
    strategy: str
    detail: str


class Decision(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Why a coin is handled as it is; emitted when any part of it changes."""

    coin: str
    regime: Regime
    regime_confidence: float
    strategy: str
    strategy_reason: str
    wish: str
    why_not: str


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """Something a person should hear; ``level`` is ``info``, ``warning`` or ``error``."""

    level: str
    name: str
    detail: str


class Step(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Everything that followed from the event with the same ``seq``."""

    seq: int
    ts_ns: int
    trading_state: TradingState
    commands: tuple[Command, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    decisions: tuple[Decision, ...] = ()
    fills: tuple[AttributedFill, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    alerts: tuple[Alert, ...] = ()
    equity: EquityPoint | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing followed that anyone needs to store."""
        return not (
            self.commands
            or self.refusals
            or self.decisions
            or self.fills
            or self.orders
            or self.alerts
            or self.equity
        )
