"""The ways in which the venue's time may move; a word for options and drivers alike."""

from __future__ import annotations

from enum import StrEnum


class TimeMode(StrEnum):
    """How the venue's time moves."""

    RUNNING = "running"
    """With the world's, by a factor."""
    MANUAL = "manual"
    """Only when told."""
    ON_REQUEST = "on-request"
    """When told, and by itself up to the moment at which a waiting client gets his answer."""
    MAX = "max"
    """As fast as it can be computed, from the first request on."""
