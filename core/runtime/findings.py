"""What a check before trading says: found, why it matters, how to mend it, and what it ends in.

Knows no check. The exit code of a set of findings is that of the first one that blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.model.errors import (
    ClockSkewError,
    ConfigError,
    CredentialError,
    ExitCode,
    NovaError,
    PortInUseError,
    VenueError,
)

Level = Literal["ok", "warning", "blocking"]

_ERRORS: dict[ExitCode, type[NovaError]] = {
    ExitCode.CREDENTIAL: CredentialError,
    ExitCode.VENUE_UNAVAILABLE: VenueError,
    ExitCode.PORT_IN_USE: PortInUseError,
    ExitCode.CLOCK_SKEW: ClockSkewError,
}


class Check(msgspec.Struct, frozen=True):
    """One finding. ``exit_code`` is what a blocking one ends in."""

    name: str
    level: Level
    found: str
    fix: str = ""
    why: str = ""
    exit_code: ExitCode = ExitCode.OK


def ok(name: str, found: str) -> Check:
    """Return a finding that nothing is wrong with."""
    return Check(name, "ok", found)


def warning(name: str, found: str, *, why: str, fix: str) -> Check:
    """Return a finding that a person should know before trading."""
    return Check(name, "warning", found, fix, why)


def blocking(name: str, found: str, code: ExitCode, *, why: str, fix: str) -> Check:
    """Return a finding with which nothing may be traded."""
    return Check(name, "blocking", found, fix, why, code)


def exit_code_of(checks: Sequence[Check]) -> ExitCode:
    """Return the exit code of the first finding that blocks."""
    return next((c.exit_code for c in checks if c.level == "blocking"), ExitCode.OK)


def refuse_if_blocked(checks: Sequence[Check]) -> None:
    """Raise the error of the first finding that blocks, in the finding's own words.

    Raises
    ------
    NovaError
        Of the kind that the finding's exit code means.
    """
    for check in checks:
        if check.level != "blocking":
            continue
        text = f"{check.name}: {check.found}; {check.fix}"
        if check.exit_code is ExitCode.CONFIG:
            raise ConfigError([text])
        raise _ERRORS.get(check.exit_code, NovaError)(text)
