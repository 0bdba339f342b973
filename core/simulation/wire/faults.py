"""Planned trouble: requests refused, failed or lost, and sockets cut, at stated places.

A plan counts requests and names moments of the venue's time; it draws nothing, so that a fire
drill repeats exactly. It knows no request's content.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What happens to one request."""

    TOO_MANY = "too_many"
    """Answered 429; not carried out."""
    BROKEN = "broken"
    """Answered 502 with a proxy's page; not carried out."""
    LOST_BEFORE = "lost_before"
    """The connection breaks before the venue sees the request."""
    LOST_AFTER = "lost_after"
    """The venue carries it out, and the connection breaks before the answer."""


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Trouble by request number (from 1) and by moment.

    Parameters
    ----------
    exchange, info : mapping of int to Fault
        Which of the requests on each path fail, and how.
    sockets_cut_ns : tuple of int
        Moments of the venue's time at which every websocket breaks, ascending.
    """

    exchange: Mapping[int, Fault] = {}
    info: Mapping[int, Fault] = {}
    sockets_cut_ns: tuple[int, ...] = ()
