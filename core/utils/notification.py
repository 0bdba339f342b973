"""Tell a person that something happened. Further channels implement `Notifier`.

Knows nothing of why; what is worth telling is decided by whoever calls.
"""

from __future__ import annotations

from typing import Literal, Protocol

from core.utils.logger import Logger

Level = Literal["info", "warning", "error"]


class Notifier(Protocol):
    """A way to reach a person."""

    def notify(self, level: Level, name: str, detail: str) -> None:
        """Tell one thing; must return quickly and never raise for trouble of the channel."""
        ...


class LogNotifier:
    """Tells by writing to the log."""

    def __init__(self, logger: Logger | None = None) -> None:
        self._logger = logger or Logger("notification")

    def notify(self, level: Level, name: str, detail: str) -> None:
        """Write one line of the given level."""
        write = {
            "info": self._logger.info,
            "warning": self._logger.warning,
            "error": self._logger.error,
        }[level]
        write(name, detail=detail)
