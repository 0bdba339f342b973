"""Fault plans as people write them: JSON with comments, checked with every problem told at once.

The file's shape follows from `core.simulation.wire.faults.FaultRule`; here is only what a struct
cannot say of itself. It decides no fault.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

from core.model.errors import ConfigError
from core.simulation.wire.faults import APPLICABLE, FaultPlan, FaultRule
from core.utils.jsonc import parse_jsonc
from core.utils.struct_check import Problem, find_problems, value_text

RULES_MAX = 1_000


class FaultFile(msgspec.Struct, frozen=True):
    """What a fault file holds: the rules, and the seed of those with a chance."""

    rules: Annotated[tuple[FaultRule, ...], msgspec.Meta(max_length=RULES_MAX)]
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 7


def load_plan(path: Path) -> FaultPlan:
    """Read a fault file.

    Raises
    ------
    ConfigError
        If it cannot be read, or with everything that is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: expected a readable fault plan, was {error}"]) from error
    return read_plan(text, where=str(path))


def read_plan(text: str, *, where: str = "faults") -> FaultPlan:
    """Read a fault plan.

    Parameters
    ----------
    text : str
        JSON, comments allowed.
    where : str
        Named in error texts.

    Raises
    ------
    ConfigError
        With everything that is wrong: path, expected, was, nearest known name.
    """
    try:
        data = parse_jsonc(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ConfigError(
            [f"{where}: expected JSON with comments, {error.msg} at {place}"]
        ) from None
    problems = find_problems(data, FaultFile)
    if not problems:
        problems = _contradictions(data)
    if problems:
        raise ConfigError([f"{where}: {problem}" for problem in problems])
    file = msgspec.convert(data, FaultFile)
    return FaultPlan(file.rules, seed=file.seed)


def _contradictions(data: Any) -> list[Problem]:
    """List what single fields cannot show: faults where they cannot happen, spans without end."""
    problems = []
    for i, row in enumerate(data["rules"]):
        path, rule = f"rules[{i}]", msgspec.convert(row, FaultRule)
        known = APPLICABLE[rule.route]
        if rule.fault not in known:
            expected = " or ".join(repr(name) for name in sorted(known))
            text = f"expected {expected} on route {rule.route!r}, was {value_text(rule.fault)}"
            problems.append(Problem(f"{path}.fault", text))
        has_end = rule.until_s is not None or rule.until_ms is not None
        needs_end = rule.fault == "post_only" or rule.every_s is not None
        if needs_end and not has_end:
            problems.append(
                Problem(f"{path}.until_s", f"expected an end of {rule.fault}, was missing")
            )
        if rule.fault == "halt" and not rule.kind:
            problems.append(Problem(f"{path}.kind", "expected the coin of a halt, was missing"))
        if rule.until_s is not None and rule.until_ms is None and rule.until_s <= rule.from_s:
            text = f"expected above from_s ({rule.from_s:g}), was {rule.until_s:g}"
            problems.append(Problem(f"{path}.until_s", text))
    return problems
