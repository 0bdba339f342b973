"""Planned trouble: what goes wrong, where, when and how often, decided without any network.

A plan is a list of rules and a seed. It is asked for every request, for every frame and for the
moments at which something happens by itself; its answers depend on the rules, the seed and the
order of the questions only, so a fire drill repeats exactly. Who asks does the damage. It knows
no socket and no content of a request but its type.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import msgspec

from core.model.time import NS_PER_MS, ns_from_seconds

Route = Literal["info", "exchange", "ws", "market"]
FaultName = Literal[
    "broken",
    "clock_skew",
    "corrupt_row",
    "cut",
    "delay",
    "delay_answer",
    "drop",
    "drop_after",
    "drop_before",
    "duplicate",
    "halt",
    "mute",
    "null_body",
    "partial_batch",
    "post_only",
    "reorder",
    "revoked_agent",
    "stale",
    "too_many",
]
CONNECT = "connect"
"""The ``kind`` of a new websocket connection; all others on that route are channels."""
TIMED = frozenset({"cut", "halt", "post_only"})
"""Happen by themselves at their moments; the others happen to a request or a frame."""
_REQUEST = frozenset(
    {
        *("broken", "clock_skew", "delay", "delay_answer", "drop_after", "drop_before"),
        *("null_body", "too_many"),
    }
)
APPLICABLE: dict[str, frozenset[str]] = {
    "info": _REQUEST | {"corrupt_row", "stale"},
    "exchange": _REQUEST | {"partial_batch", "revoked_agent"},
    "ws": frozenset(
        {"broken", "cut", "delay", "drop", "duplicate", "mute", "reorder", "stale", "too_many"}
    ),
    "market": frozenset({"halt", "post_only"}),
}
"""Which faults a route knows."""
STRUCK_MAX = 10_000
MOMENTS_MAX = 100_000

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10**9)]


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kind of trouble.

    Parameters
    ----------
    route : {"info", "exchange", "ws", "market"}
        Where it strikes.
    fault : str
        What happens; `APPLICABLE` has the faults of each route.
    kind : str
        Only to this info type, action type or channel, ``connect`` for new websockets, the coin of
        a halt; empty for all.
    name : str
        Shown in the list of faults that struck; the fault's name without it.
    from_s, until_s : float
        Seconds of the venue's time since the plan was put in force between which it strikes; the
        end is not included.
    from_ms, until_ms : int or None
        The same as moments of the venue's time, milliseconds since the epoch; they take
        precedence.
    after : int
        So many matching requests or frames are spared first.
    every : int
        Then it may strike the first, and each so-and-so-many-th after it.
    chance : float
        Where it may strike it does with this probability, drawn from the plan's seed.
    times : int or None
        It strikes at most so often.
    every_s : float or None
        ``cut`` repeats after so many seconds until its end.
    delay_ms : float
        How long ``delay`` and ``delay_answer`` hold something back, and ``reorder`` waits for the
        next frame of the channel, in the venue's time.
    status : int
        HTTP status of ``broken``.
    body : str or None
        Body of ``too_many`` (``null`` without it) and ``broken`` (a proxy's page without it).
    skew_ms : int
        How far ``clock_skew`` moves the time that the venue tells.
    row : int
        Which row of the metadata ``corrupt_row`` breaks.
    """

    route: Route
    fault: FaultName
    kind: str = ""
    name: str = ""
    from_s: Seconds = 0.0
    until_s: Seconds | None = None
    from_ms: Millis | None = None
    until_ms: Millis | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0
    every: Count = 1
    chance: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 1.0
    times: Count | None = None
    every_s: Annotated[float, msgspec.Meta(gt=0.0, le=1e9)] | None = None
    delay_ms: Annotated[float, msgspec.Meta(gt=0.0, le=1e9)] = 1_000.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 502
    body: str | None = None
    skew_ms: Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)] = 60_000
    row: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.fault


class Fault(msgspec.Struct, frozen=True):
    """One rule striking now; ``is_end`` when what it began is to end (a halt)."""

    rule: FaultRule
    until_ns: int | None = None
    is_end: bool = False

    @property
    def delay_ns(self) -> int:
        """How long something is held back, in the venue's time."""
        return round(self.rule.delay_ms * NS_PER_MS)


class Struck(msgspec.Struct, frozen=True):
    """A fault that happened: when in the venue's time, to what, by which rule."""

    ts_ns: int
    route: str
    kind: str
    fault: str
    name: str


class _Counted:
    """A rule in force: its span, its chance, and how often it was asked and struck."""

    def __init__(self, rule: FaultRule, chance: random.Random, start_ns: int) -> None:
        self.rule, self._chance = rule, chance
        self.from_ns = start_ns + ns_from_seconds(rule.from_s)
        if rule.from_ms is not None:
            self.from_ns = rule.from_ms * NS_PER_MS
        self.until_ns: int | None = None
        if rule.until_s is not None:
            self.until_ns = start_ns + ns_from_seconds(rule.until_s)
        if rule.until_ms is not None:
            self.until_ns = rule.until_ms * NS_PER_MS
        self._asked = self.struck = 0

    def holds(self, now_ns: int) -> bool:
        """Whether the rule's span covers a moment and its number is not used up."""
        is_used = self.rule.times is not None and self.struck >= self.rule.times
        is_over = self.until_ns is not None and now_ns >= self.until_ns
        return now_ns >= self.from_ns and not is_over and not is_used

    def ask(self, kind: str, now_ns: int) -> bool:
        """Count one request or frame; tell whether it would be struck."""
        rule = self.rule
        # A rule without a kind means requests and frames, not the opening of a connection.
        matches = rule.kind == kind or (not rule.kind and kind != CONNECT)
        if not matches or not self.holds(now_ns):
            return False
        place = self._asked - rule.after
        self._asked += 1
        if place < 0 or place % rule.every:
            return False
        return rule.chance >= 1.0 or self._chance.random() < rule.chance

    def moments(self) -> list[int]:
        """Return when a timed rule strikes."""
        if self.rule.every_s is None:
            return [self.from_ns]
        step_ns = max(1, ns_from_seconds(self.rule.every_s))
        assert self.until_ns is not None, "invariant: a repeated rule was checked to have an end"
        count = min(MOMENTS_MAX, max(0, -(-(self.until_ns - self.from_ns) // step_ns)))
        if self.rule.times is not None:
            count = min(count, self.rule.times)
        return [self.from_ns + i * step_ns for i in range(count)]


class FaultPlan:
    """Rules in force, and what they did.

    Parameters
    ----------
    rules : sequence of FaultRule
        Earlier ones take precedence where two would strike the same request.
    seed : int
        Of the rules with a chance.

    Notes
    -----
    Every rule counts every request that its route, kind and span match, whether or not another
    rule strikes it.
    """

    def __init__(self, rules: Sequence[FaultRule] = (), *, seed: int = 7) -> None:
        self.rules, self.seed = tuple(rules), seed
        self._struck: deque[Struck] = deque(maxlen=STRUCK_MAX)
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Put the plan in force from a moment on; all counts start anew."""
        self._struck.clear()
        self._by_route: dict[str, list[_Counted]] = {route: [] for route in get_args(Route)}
        self._moments: list[tuple[int, int, _Counted, bool]] = []
        for i, rule in enumerate(self.rules):
            counted = _Counted(rule, random.Random(f"{self.seed}-{i}"), now_ns)
            if rule.fault not in TIMED:
                self._by_route[rule.route].append(counted)
                continue
            moments = [(moment_ns, i, counted, False) for moment_ns in counted.moments()]
            if rule.fault == "halt" and counted.until_ns is not None:
                moments.append((counted.until_ns, i, counted, True))
            self._moments += moments
        heapq.heapify(self._moments)

    @property
    def struck(self) -> tuple[Struck, ...]:
        """Return the faults that happened, oldest first; the newest `STRUCK_MAX` are kept."""
        return tuple(self._struck)

    @property
    def next_ns(self) -> int | None:
        """When the next timed fault is due."""
        return self._moments[0][0] if self._moments else None

    def concerns(self, route: Route) -> bool:
        """Whether any rule watches the requests or frames of a route."""
        return bool(self._by_route[route])

    def in_force(self, now_ns: int) -> tuple[FaultRule, ...]:
        """Return the rules whose span covers a moment."""
        watching = [c.rule for rows in self._by_route.values() for c in rows if c.holds(now_ns)]
        waiting = {id(c): c.rule for _, _, c, _ in self._moments}
        return (*watching, *waiting.values())

    def decide(self, route: Route, kind: str, now_ns: int) -> Fault | None:
        """Tell what happens to one request or frame.

        Parameters
        ----------
        route : {"info", "exchange", "ws"}
            Where it goes.
        kind : str
            Info type, action type, channel or `CONNECT`.
        now_ns : int
            The venue's time.
        """
        hit: _Counted | None = None
        for counted in self._by_route[route]:
            if counted.ask(kind, now_ns) and hit is None:
                hit = counted
        if hit is None:
            return None
        hit.struck += 1
        self._note(hit.rule, kind, now_ns)
        return Fault(hit.rule, hit.until_ns)

    def due(self, now_ns: int) -> list[Fault]:
        """Return the timed faults that are due by a moment and were not returned before."""
        faults = []
        while self._moments and self._moments[0][0] <= now_ns:
            moment_ns, _, counted, is_end = heapq.heappop(self._moments)
            counted.struck += 1
            faults.append(Fault(counted.rule, counted.until_ns, is_end))
            self._note(counted.rule, "end" if is_end else counted.rule.kind, moment_ns)
        return faults

    def _note(self, rule: FaultRule, kind: str, ts_ns: int) -> None:
        self._struck.append(Struck(ts_ns, rule.route, kind, rule.fault, rule.label))
