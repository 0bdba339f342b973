"""What a person may ask of a running engine, as events of the one path.

Knows what each word of the operator changes; carrying it out is left to the modules of the path.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import msgspec

from core.engines.context import Context, Hold
from core.engines.desk import Desk
from core.engines.supervision import Supervisor
from core.model.codes import SHUTDOWN, Direction, OperatorAction, TradingState
from core.model.events import OperatorCommanded
from core.model.settings import EngineConfig
from core.model.time import NS_PER_MIN
from core.utils.config_rules import order_problems

CLOSED_BAR_NS = 5 * NS_PER_MIN
"""Time without entries in a coin that the operator closed by hand."""
FIXED_AT_START = (
    "coins",
    "candle_interval",
    "order_answer_seconds",
    "action_ttl_seconds",
    "default_leverage",
    "requests_per_minute_max",
    "enabled",
    "model_path",
)
"""Parameters that shape the engine's state, the edge or the venue's settings and cannot change
while it runs; neither can periods (``…_period``), by which the candles to keep are counted."""


class OperatorDesk:
    """Carry out the operator's words.

    Parameters
    ----------
    on_settings : callable
        Called after parameters changed, to rebuild what holds them.
    """

    def __init__(
        self, context: Context, supervisor: Supervisor, on_settings: Callable[[], None]
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._on_settings = on_settings
        self._config_at_start = context.config

    def handle(self, event: OperatorCommanded, strategies: tuple[str, ...]) -> None:
        """Carry out one word; what makes no sense is answered by an alert."""
        context, action = self._context, event.action
        words = [action.value, event.coin, event.strategy, event.key, event.value]
        said = " ".join(word for word in words if word)
        reason = f" ({event.reason})" if event.reason else ""
        context.alert("info", "operator", f"{event.who}: {said}{reason}")
        facts = context.facts
        if event.who == SHUTDOWN and facts.hold_kept is None:
            facts.hold_kept = Hold(facts.hold, facts.hold_reason, facts.is_flattening)
        if action is OperatorAction.RESUME:
            self._resume()
        elif action in (OperatorAction.PAUSE, OperatorAction.REDUCE):
            self._hold(TradingState.REDUCING, f"{action} by {event.who}")
        elif action is OperatorAction.HALT:
            self._hold(TradingState.HALTED, f"halted by {event.who}")
        elif action is OperatorAction.FLATTEN:
            self._flatten(event)
        elif action is OperatorAction.CANCEL_ALL:
            for desk in context.desks.values():
                desk.drop_wish()
            context.touch_all()
        elif action is OperatorAction.SET_PARAMETER:
            self._set_parameter(event, strategies)
        else:
            self._switch(event, strategies)

    def _resume(self) -> None:
        """Lift holds and the emergency; limits count afresh, or it would close again at once."""
        context, facts = self._context, self._context.facts
        facts.hold, facts.hold_reason, facts.is_flattening = TradingState.ACTIVE, "", False
        facts.hold_kept = None
        if context.risk.state.emergency:
            context.risk.resume(context.equity_micro(), facts.now_ns)
        for desk in context.desks.values():
            desk.is_closing_asked = False
            desk.is_due = True
        context.touch_all()
        self._supervisor.refresh()

    def _hold(self, state: TradingState, reason: str) -> None:
        facts = self._context.facts
        if facts.hold is not TradingState.HALTED:
            facts.hold, facts.hold_reason = state, reason
        self._context.touch_all()
        self._supervisor.refresh()

    def _flatten(self, event: OperatorCommanded) -> None:
        context, facts = self._context, self._context.facts
        if event.coin:
            desk = context.desks.get(event.coin)
            if desk is None:
                context.alert("warning", "operator", f"{event.coin} is not traded here")
                return
            desk.drop_wish()
            desk.bar(Direction.FLAT, facts.now_ns + CLOSED_BAR_NS)
            desk.is_closing_asked = context.account.lots(event.coin) != 0
            context.touch(desk)
            return
        for desk in context.desks.values():
            desk.drop_wish()
        facts.is_flattening = True
        facts.hold, facts.hold_reason = TradingState.HALTED, f"flattened by {event.who}"
        context.touch_all()
        self._supervisor.refresh()

    def _switch(self, event: OperatorCommanded, strategies: tuple[str, ...]) -> None:
        """Start or stop a strategy; what a stopped one holds is closed."""
        context, name = self._context, event.strategy
        if name not in strategies:
            near = get_close_matches(name, strategies, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            known = ", ".join(strategies)
            context.alert(
                "warning", "operator", f"strategy should be one of {known}, was {name!r}{hint}"
            )
            return
        if event.action is OperatorAction.STOP_STRATEGY:
            context.facts.stopped[name] = f"stopped by {event.who}"
        else:
            context.facts.stopped.pop(name, None)
        for desk in context.desks.values():
            self._make_due(desk)

    def _make_due(self, desk: Desk) -> None:
        desk.is_due = True
        self._context.touch(desk)

    def _set_parameter(self, event: OperatorCommanded, strategies: tuple[str, ...]) -> None:
        """Change one parameter if the configuration with it is valid."""
        context = self._context
        setting = (event.strategy, event.key, event.value)
        try:
            _require_sense(changed(context.config, *setting), strategies)
        except (msgspec.ValidationError, msgspec.DecodeError, KeyError, ValueError) as error:
            where = ".".join(filter(None, (event.strategy, event.key)))
            context.alert("warning", "parameter_refused", f"{where}={event.value}: {error}")
            return
        settings = context.facts.settings
        settings[:] = [s for s in settings if s[:2] != setting[:2]]
        settings.append(setting)
        self._on_settings()
        context.touch_all()

    def apply_settings(self) -> None:
        """Put the operator's changes on top of the configuration at start."""
        context = self._context
        config = self._config_at_start
        for setting in context.facts.settings:
            config = changed(config, *setting)
        context.config = config
        context.risk.params = config.trading
        context.tokens.configure(config.trading)


def changed(config: EngineConfig, section: str, key: str, value: str) -> EngineConfig:
    """Return the configuration with one parameter changed, validated as a whole.

    Parameters
    ----------
    section : str
        A section of the strategies' configuration; empty for a trading parameter.
    value : str
        JSON, or plain text for a text.

    Raises
    ------
    KeyError, ValueError, msgspec.ValidationError
        If there is no such parameter, it is fixed at start, or the value is out of bounds.
    """
    tree: dict[str, Any] = msgspec.to_builtins(config)
    fields = tree["strategies"].get(section) if section else tree["trading"]
    if fields is None or key not in fields:
        near = get_close_matches(key, list(fields or ()), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise KeyError(f"no such parameter{hint}")
    if key in FIXED_AT_START or key.endswith("_period"):
        raise ValueError("cannot change while running; restart with another configuration")
    try:
        fields[key] = msgspec.json.decode(value)
    except msgspec.DecodeError:
        fields[key] = value
    return msgspec.convert(tree, EngineConfig)


def _require_sense(config: EngineConfig, strategies: tuple[str, ...]) -> None:
    """Raise `ValueError` for values that are each possible and together make no sense."""
    fixed = config.strategies.selection.fixed_strategy
    if fixed and fixed not in strategies:
        known = ", ".join(strategies) or "none enabled"
        raise ValueError(f"expected one of {known} or nothing, was {fixed!r}")
    tree: dict[str, Any] = msgspec.to_builtins(config)
    sections = {"trading": tree["trading"]}
    sections |= {f"strategies.{name}": fields for name, fields in tree["strategies"].items()}
    values = {
        f"{s}.{key}": value for s, fields in sections.items() for key, value in fields.items()
    }
    problems = [str(problem) for problem in order_problems(values)]
    if problems:
        raise ValueError("; ".join(problems))
