"""What accounts were worth over time: bounded samples behind the venue's portfolio charts.

A duty that looks at every account each quarter of an hour. Profit is the worth of perpetuals less
what was moved in and out, plus what spot tokens are worth, or brought, over their cost. It decides
nothing and is no part of the state that decides the venue's future.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from core.model.time import NS_PER_DAY, NS_PER_MIN
from core.simulation.venue.account import Account
from core.simulation.venue.margin import cross_margin, isolated_margin_micro
from core.simulation.venue.records import USDC, USDC_WEI_PER_MICRO
from core.simulation.venue.spot import SpotDesk
from core.simulation.venue.state import VenueState

SAMPLE_EVERY_NS = 15 * NS_PER_MIN
FINE_KEPT = 4 * 24 * 31
"""A month of quarters of an hour; older ones thin out to one a day."""
DAYS_KEPT = 4_000
ROWS_MAX = 48
SPANS = (("day", 1), ("week", 7), ("month", 30), ("allTime", 0))


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One account at one moment; profit and volume count from its opening."""

    ts_ns: int
    value_micro: int
    pnl_micro: int
    volume_micro: int


class _Series:
    """Samples of one account, all its money or its perpetuals alone."""

    def __init__(self) -> None:
        self.fine: deque[Sample] = deque(maxlen=FINE_KEPT)
        self.days: deque[Sample] = deque(maxlen=DAYS_KEPT)

    def add(self, sample: Sample) -> None:
        """Append; the first of each day is kept longer."""
        self.fine.append(sample)
        if not self.days or sample.ts_ns // NS_PER_DAY != self.days[-1].ts_ns // NS_PER_DAY:
            self.days.append(sample)

    def span(self, days: int, now: Sample) -> list[Sample]:
        """Return about `ROWS_MAX` samples of the last days (0: all), and the present."""
        rows: Sequence[Sample]
        if days == 0:
            rows = list(self.days)
        else:
            first_ns = now.ts_ns - days * NS_PER_DAY
            rows = [sample for sample in self.fine if sample.ts_ns >= first_ns]
        step = -(-len(rows) // ROWS_MAX) or 1
        return [*rows[::step], now]


class EquityHistory:
    """A duty: samples of every account."""

    def __init__(self, state: VenueState, spot: SpotDesk) -> None:
        self._state = state
        self._spot = spot
        self._all: dict[str, _Series] = {}
        self._perp: dict[str, _Series] = {}
        self._due_ns = (state.now_ns // SAMPLE_EVERY_NS + 1) * SAMPLE_EVERY_NS

    @property
    def due_ns(self) -> int | None:
        """The next full quarter of an hour, ``None`` while nobody has an account."""
        if not self._state.accounts:
            return None
        self._due_ns = max(self._due_ns, self._state.now_ns // SAMPLE_EVERY_NS * SAMPLE_EVERY_NS)
        return self._due_ns

    def fire(self, quiet_ns: int) -> None:
        """Sample; where nothing happens until later, the moments between are left out."""
        for address, account in self._state.accounts.items():
            whole, perp = self._now(account)
            self._all.setdefault(address, _Series()).add(whole)
            self._perp.setdefault(address, _Series()).add(perp)
        self._due_ns = (max(self._due_ns, quiet_ns) // SAMPLE_EVERY_NS + 1) * SAMPLE_EVERY_NS

    def spans(self, address: str) -> Iterator[tuple[str, list[Sample]]]:
        """Yield the venue's eight spans of an account by name, oldest sample first."""
        account = self._state.accounts.get(address)
        now = (None, None) if account is None else self._now(account)
        for prefix, book, present in (("", self._all, now[0]), ("perp", self._perp, now[1])):
            for name, days in SPANS:
                shown = prefix + name[0].upper() + name[1:] if prefix else name
                if present is None:
                    yield shown, []
                else:
                    yield shown, book.get(address, _Series()).span(days, present)

    def _now(self, account: Account) -> tuple[Sample, Sample]:
        """Return an account's present: all its money, and its perpetuals alone."""
        state = self._state
        value = cross_margin(account, state.books).value_micro + sum(
            isolated_margin_micro(p, state.books[p.coin].mark_px)
            for p in account.positions.values()
            if not p.is_cross
        )
        spot_wei, gain_wei = 0, account.spot_gain_wei
        for token, holding in account.holdings.items():
            worth = self._spot.value_wei(token, holding.wei)
            spot_wei += worth
            gain_wei += worth - holding.entry_wei if token != USDC else 0
        pnl = value - account.moved_micro
        perp = Sample(state.now_ns, value, pnl, account.volume_micro)
        whole = Sample(
            state.now_ns,
            value + spot_wei // USDC_WEI_PER_MICRO,
            pnl + gain_wei // USDC_WEI_PER_MICRO,
            account.volume_micro,
        )
        return whole, perp
