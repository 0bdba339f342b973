"""The venue's own mark price, slow and obvious: every average from all its samples at once.

Twin of ``core/simulation/venue/marks.py``; fifty digits instead of integers, no memory but the
list of what was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import NamedTuple

DIGITS = 50
NS = Decimal(1_000_000_000)


class Picture(NamedTuple):
    """One tick as the rule sees it; 0 or None stands for what is not there."""

    ts_ns: int
    bid: int
    ask: int
    last: int
    oracle: int
    external: int | None


def mark(pictures: Sequence[Picture]) -> Decimal:
    """Return the mark after the last picture in price units, before it is put on the grid."""
    with localcontext() as context:
        context.prec = DIGITS
        now = pictures[-1]
        basis = [
            (p.ts_ns, Decimal(p.bid + p.ask) / 2 - p.oracle) for p in pictures if p.bid and p.ask
        ]
        touches = [(p.ts_ns, t) for p in pictures if (t := touch(p)) is not None]
        average = ema(basis, 150)
        prices = [
            None if average is None else now.oracle + average,
            touch(now),
            None if now.external is None else Decimal(now.external),
        ]
        found = [price for price in prices if price is not None]
        average = ema(touches, 30)
        if len(found) == 2 and average is not None:
            found.append(average)
        return median(found) if found else Decimal(now.oracle)


def touch(picture: Picture) -> Decimal | None:
    """Return the median of best bid, best ask and last trade."""
    found = [Decimal(px) for px in (picture.bid, picture.ask, picture.last) if px]
    return median(found) if found else None


def ema(samples: Sequence[tuple[int, Decimal]], tau_s: int) -> Decimal | None:
    """Return the average of samples, each weighted by the time before it and by its age."""
    if not samples:
        return None
    end_ns = samples[-1][0]
    weights, total = Decimal(0), Decimal(0)
    for (before_ns, _), (ts_ns, value) in pairwise(samples):
        age = Decimal(end_ns - ts_ns) / NS / tau_s
        weight = Decimal(ts_ns - before_ns) * (-age).exp()
        weights += weight
        total += weight * value
    return total / weights if weights else samples[-1][1]


def median(values: Sequence[Decimal]) -> Decimal:
    """Return the middle value, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
