"""How long messages travel: seeded, with a tail.

Each delay is ``base + exponential tail``: networks have a floor and occasional stragglers. The
venue states for a co-located client a median of 0.2 s end to end and 0.9 s for 99 %; the defaults
err on the slow side of that, as a home connection does. Without latency everything happens at
once, which suits tests and measurements.
"""

from __future__ import annotations

import math
import random

import msgspec

from core.model.time import NS_PER_MS


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Floor and mean tail of each leg, in milliseconds of the venue's time."""

    feed_floor_ms: float = 120.0
    feed_tail_ms: float = 60.0
    entry_floor_ms: float = 150.0
    entry_tail_ms: float = 80.0
    response_floor_ms: float = 60.0
    response_tail_ms: float = 40.0


NO_LATENCY = LatencySettings(
    feed_floor_ms=0.0,
    feed_tail_ms=0.0,
    entry_floor_ms=0.0,
    entry_tail_ms=0.0,
    response_floor_ms=0.0,
    response_tail_ms=0.0,
)
LATENCIES = {
    "home": LatencySettings(),
    "colocated": LatencySettings(
        feed_floor_ms=70.0,
        feed_tail_ms=50.0,
        entry_floor_ms=90.0,
        entry_tail_ms=70.0,
        response_floor_ms=30.0,
        response_tail_ms=40.0,
    ),
    "none": NO_LATENCY,
}
"""By name; that of a co-located client meets the venue's figures: half of the round trips take
at most 0.2 s."""


def fixed_latency(ms: float) -> LatencySettings:
    """Return a latency that is the same on every leg, in milliseconds."""
    return LatencySettings(
        feed_floor_ms=ms,
        feed_tail_ms=0.0,
        entry_floor_ms=ms,
        entry_tail_ms=0.0,
        response_floor_ms=ms,
        response_tail_ms=0.0,
    )


class LatencyModel:
    """Draw delays; the same seed gives the same sequence on each leg.

    The legs have generators of their own, so that an additional order does not change what the
    feed experiences.
    """

    def __init__(self, seed: int, settings: LatencySettings | None = None) -> None:
        self._settings = settings or LatencySettings()
        self._feed = random.Random(f"feed-{seed}")
        self._entry = random.Random(f"entry-{seed}")
        self._response = random.Random(f"response-{seed}")

    def feed_ns(self) -> int:
        """Return the way of a market message from the venue to us, in nanoseconds."""
        return _draw_ns(self._feed, self._settings.feed_floor_ms, self._settings.feed_tail_ms)

    def entry_ns(self) -> int:
        """Return the way of an order from us to the matching engine, in nanoseconds."""
        return _draw_ns(self._entry, self._settings.entry_floor_ms, self._settings.entry_tail_ms)

    def response_ns(self) -> int:
        """Return the way of an answer or a fill from the venue to us, in nanoseconds."""
        return _draw_ns(
            self._response, self._settings.response_floor_ms, self._settings.response_tail_ms
        )


def _draw_ns(source: random.Random, floor_ms: float, tail_ms: float) -> int:
    """Inverse-transform an exponential tail."""
    if not tail_ms:
        return round(floor_ms * NS_PER_MS)
    tail = -math.log(1.0 - source.random()) * tail_ms
    return max(1, round((floor_ms + tail) * NS_PER_MS))
