"""The error tree and the exit codes. Every message says: expected, was, where, what now."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the ``nova`` command; listed in ``docs/USER_GUIDE.md`` and never renumbered."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    CREDENTIAL = 4
    CONSENT_MISSING = 5
    VENUE_UNAVAILABLE = 6
    DATA_FILE = 7
    JOURNAL = 8
    REPLAY_DIFFERS = 9
    HALTED_BY_RISK = 10
    PORT_IN_USE = 11
    CLOCK_SKEW = 12
    NOT_RUNNING = 13


class NovaError(Exception):
    """An error a person can act on; the CLI prints its text and exits with ``exit_code``."""

    exit_code = ExitCode.INTERNAL


class ConfigError(NovaError):
    """The configuration is not usable; carries every problem found, not only the first."""

    exit_code = ExitCode.CONFIG

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class CredentialError(NovaError):
    """A key is missing, malformed or does not belong to the account."""

    exit_code = ExitCode.CREDENTIAL


class ConsentError(NovaError):
    """Live trading was asked for only once."""

    exit_code = ExitCode.CONSENT_MISSING


class VenueError(NovaError):
    """The venue cannot be reached or answered something no client can use."""

    exit_code = ExitCode.VENUE_UNAVAILABLE


class DataFileError(NovaError):
    """A market data file is missing, truncated or has the wrong columns."""

    exit_code = ExitCode.DATA_FILE


class JournalError(NovaError):
    """The journal cannot be read or written."""

    exit_code = ExitCode.JOURNAL


class ReplayError(NovaError):
    """Replaying a journal gave another step or another state hash than was recorded."""

    exit_code = ExitCode.REPLAY_DIFFERS


class PortInUseError(NovaError):
    """A service cannot bind its address."""

    exit_code = ExitCode.PORT_IN_USE


class ClockSkewError(NovaError):
    """Our clock and the venue's differ by more than nonces allow."""

    exit_code = ExitCode.CLOCK_SKEW


class NotRunningError(NovaError):
    """A command needs a running bot and none answered."""

    exit_code = ExitCode.NOT_RUNNING


class GridError(ValueError):
    """A price, size or amount does not fit the instrument's integer grid."""
