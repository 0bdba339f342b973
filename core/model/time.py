"""Time as integers: nanoseconds since the Unix epoch, UTC."""

from __future__ import annotations

import datetime as dt

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MIN = 60 * NS_PER_S
NS_PER_HOUR = 3_600 * NS_PER_S
NS_PER_DAY = 86_400 * NS_PER_S

_INTERVAL_UNIT_NS = {"m": NS_PER_MIN, "h": NS_PER_HOUR, "d": NS_PER_DAY, "w": 7 * NS_PER_DAY}


def ns_from_ms(ms: int) -> int:
    """Turn the venue's milliseconds into nanoseconds."""
    return ms * NS_PER_MS


def ms_from_ns(ns: int) -> int:
    """Turn nanoseconds into whole milliseconds, rounded down."""
    return ns // NS_PER_MS


def ns_from_seconds(seconds: float) -> int:
    """Turn seconds into nanoseconds, exact to the microsecond."""
    return round(seconds * 1_000_000) * NS_PER_US


def interval_ns(interval: str) -> int:
    """Return the length of a candle interval such as ``1m``, ``15m``, ``4h`` or ``1d``.

    Raises
    ------
    ValueError
        If the text is not a number followed by one of ``m h d w``.
    """
    count, unit = interval[:-1], interval[-1:]
    if unit not in _INTERVAL_UNIT_NS or not count.isdigit() or int(count) == 0:
        raise ValueError(f"candle interval should read like 1m, 4h or 1d, was {interval!r}")
    return int(count) * _INTERVAL_UNIT_NS[unit]


def utc_text(ns: int) -> str:
    """Write a time for people: ``2025-05-05 00:01:02`` (UTC, whole seconds)."""
    stamp = dt.datetime.fromtimestamp(ns // NS_PER_S, tz=dt.UTC)
    return stamp.strftime("%Y-%m-%d %H:%M:%S")


def utc_day(ns: int) -> int:
    """Return the number of the UTC day since the epoch; daily limits reset when it changes."""
    return ns // NS_PER_DAY


def duration_text(ns: int) -> str:
    """Write a duration for people: ``350 ms``, ``12.0 s``, ``4 min 05 s``, ``3 h 20 min``."""
    if ns < NS_PER_S:
        return f"{ns / NS_PER_MS:.0f} ms"
    if ns < NS_PER_MIN:
        return f"{ns / NS_PER_S:.1f} s"
    if ns < NS_PER_HOUR:
        return f"{ns // NS_PER_MIN} min {ns % NS_PER_MIN // NS_PER_S:02d} s"
    return f"{ns // NS_PER_HOUR} h {ns % NS_PER_HOUR // NS_PER_MIN:02d} min"
