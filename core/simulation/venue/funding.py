"""Hourly funding: which rate holds, and who pays it when the hour turns.

Source: venue documentation, Funding: ``payment = -position * oracle * hourly rate``, capped at
4 % an hour, not pro-rated. A market that tells its rate is believed; for one that never did, the
premium is sampled every 5 s and averaged over the hour. Rates count 10^-10, the digits the venue
prints; the payment is truncated towards 0 to micro-USDC and the pool on the other side holds the
remainder.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.model.time import NS_PER_HOUR, NS_PER_S, utc_day
from core.simulation.venue.book import CoinBook
from core.simulation.venue.family import Family
from core.simulation.venue.outputs import LIQUIDATOR, FundingOutput
from core.simulation.venue.premium import (
    RATE_E10,
    capped_e10,
    divided,
    hourly_rate_e10,
    impact_pxs,
    premium_e10,
)
from core.simulation.venue.state import VenueState

SAMPLE_EVERY_NS = 5 * NS_PER_S


class PaidRate(msgspec.Struct, frozen=True):
    """What one full hour was paid with; ``premium_e10`` is its average, or its last if given."""

    hour_ns: int
    rate_e10: int
    premium_e10: int


class _Samples(msgspec.Struct):
    """Premiums seen since the hour began."""

    sum_e10: int = 0
    count: int = 0

    @property
    def average_e10(self) -> int | None:
        """Their mean; ``None`` without any."""
        return divided(self.sum_e10, self.count) if self.count else None


class PremiumSamples:
    """A duty: every 5 s the premium of each coin whose market tells no rate."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._samples: dict[str, _Samples] = {}
        self._given: set[str] = set()
        self._paid: dict[str, PaidRate] = {}
        self._due_ns = 0

    @property
    def due_ns(self) -> int | None:
        """The next full 5 s, ``None`` while every market tells its rate."""
        return self._due_ns if self._samples else None

    def note(self, book: CoinBook, rate_1h: float | None) -> None:
        """Hear the rate a tick brings, or that it brings none."""
        coin = book.instrument.coin
        if rate_1h is not None:
            book.rate_e10 = rate_e10_from(rate_1h)
            self._given.add(coin)
            self._samples.pop(coin, None)
        elif coin not in self._given and coin not in self._samples and not book.instrument.is_spot:
            if not self._samples:
                self._due_ns = (self._state.now_ns // SAMPLE_EVERY_NS + 1) * SAMPLE_EVERY_NS
            self._samples[coin] = _Samples()

    def fire(self, quiet_ns: int) -> None:
        """Sample; until something else happens the books stand still, and so do the premiums."""
        count = 1 + max(0, quiet_ns - self._due_ns) // SAMPLE_EVERY_NS
        for coin, samples in self._samples.items():
            premium = self.premium_e10(coin)
            if premium is not None:
                samples.sum_e10 += premium * count
                samples.count += count
        self._due_ns += count * SAMPLE_EVERY_NS

    def premium_e10(self, coin: str) -> int | None:
        """Return the premium of this moment, ``None`` without depth or oracle."""
        book = self._state.books[coin]
        impact = impact_pxs(coin, *book.merged())
        if impact is None or not book.oracle_px:
            return None
        return premium_e10(impact, book.oracle_px)

    def rate_e10(self, coin: str) -> int | None:
        """Return the rate in force: the given one, or the running hour's estimate.

        Before the hour's first sample it is the rate that was paid last; ``None`` if unknown.
        """
        samples = self._samples.get(coin)
        average = samples.average_e10 if samples is not None else None
        return self._state.books[coin].rate_e10 if average is None else hourly_rate_e10(average)

    def paid(self, coin: str) -> PaidRate | None:
        """Return what the last full hour was paid with, ``None`` before the first."""
        return self._paid.get(coin)

    def close_hour(self, hour_ns: int) -> None:
        """Fix every coin's rate for the hour that ends; an hour without a sample pays nothing."""
        for coin, book in self._state.books.items():
            samples = self._samples.get(coin)
            if samples is not None:
                premium = samples.average_e10
                book.rate_e10 = None if premium is None else hourly_rate_e10(premium)
                self._samples[coin] = _Samples()
            else:
                premium = self.premium_e10(coin) if coin in self._given else None
            if book.rate_e10 is not None:
                self._paid[coin] = PaidRate(hour_ns, book.rate_e10, premium or 0)

    def canonical(self) -> list[Any]:
        """Return all that decides future rates."""
        rows = [[coin, s.sum_e10, s.count] for coin, s in sorted(self._samples.items())]
        return [self._due_ns, sorted(self._given), rows]


class HourTurn:
    """A duty: at every full UTC hour funding is paid, at midnight fee tiers are assessed."""

    def __init__(self, state: VenueState, premiums: PremiumSamples, family: Family) -> None:
        self._state = state
        self._premiums = premiums
        self._family = family

    @property
    def due_ns(self) -> int | None:
        """The next full hour."""
        return self._state.hour_next_ns

    def fire(self, quiet_ns: int) -> None:
        """Turn the hour; quiet hours without holders are skipped."""
        state = self._state
        state.begin_action()
        hour_ns = state.hour_next_ns
        state.hour_next_ns = hour_ns + NS_PER_HOUR
        self._premiums.close_hour(hour_ns)
        if any(book.holders for book in state.books.values()):
            pay_funding(state)
        else:
            skipped_ns = quiet_ns // NS_PER_HOUR * NS_PER_HOUR
            state.hour_next_ns = max(state.hour_next_ns, skipped_ns + NS_PER_HOUR)
        day = utc_day(state.hour_next_ns - NS_PER_HOUR)
        if day != utc_day(hour_ns - NS_PER_HOUR):
            self._family.assess_fee_tiers(day)


def rate_e10_from(rate_1h: float) -> int:
    """Turn an hourly rate into the exact integer the venue pays by, within its cap."""
    return capped_e10(round(rate_1h * RATE_E10))


def funding_micro(position_lots: int, oracle_px: int, rate_e10: int) -> int:
    """Return the cash flow of one position, above 0 when it receives."""
    exact = -position_lots * oracle_px * rate_e10
    size = abs(exact) // RATE_E10
    return size if exact >= 0 else -size


def pay_funding(state: VenueState) -> None:
    """Pay one hour of funding on every position of every account."""
    for coin, book in state.books.items():
        if not book.rate_e10 or not book.oracle_px:
            continue
        for account in book.holders.values():
            if account.address == LIQUIDATOR:
                continue
            lots = account.positions[coin].lots
            amount = funding_micro(lots, book.oracle_px, book.rate_e10)
            account.apply_funding(coin, amount)
            state.funding_pool_micro -= amount
            output = FundingOutput(
                owner=account.address,
                coin=coin,
                funding_micro=amount,
                position_lots=lots,
                rate_e10=book.rate_e10,
                ts_ns=state.now_ns,
                hash=state.action_hash,
            )
            account.funding.append(output)
            state.outputs.append(output)
