"""Round trips from fills and funding, in integers.

A coin has one position at a time, so a round trip is what happens from flat to flat, and its price
PnL is its cash flow: no cost basis has to be chosen, nothing is rounded. This module trusts fills
only; it knows nothing of orders or of equity.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.analytics.report import RoundTrip
from core.model.account import AttributedFill, Fill
from core.model.codes import Regime
from core.model.record import FundingRow, SessionRecord

UNKNOWN_STRATEGY = "unknown"


def round_trips(record: SessionRecord) -> tuple[tuple[RoundTrip, ...], tuple[FundingRow, ...]]:
    """Cut a session into round trips.

    Parameters
    ----------
    record : SessionRecord
        Fills in time order. Where a fill's ``start_position_lots`` is not the position the fills
        before it add up to, the difference is taken over at the price of that moment.

    Returns
    -------
    trips : tuple of RoundTrip
        Ordered by the time they were opened; those still open are valued at the last close.
    funding_loose : tuple of FundingRow
        Funding of a coin in which no round trip was open.
    """
    books: dict[str, _CoinBook] = {}
    loose: list[FundingRow] = []
    for item in _merged(record):
        coin = item.coin if isinstance(item, FundingRow) else item.fill.coin
        book = books.setdefault(coin, _CoinBook(coin, record))
        if isinstance(item, FundingRow):
            if not book.add_funding(item):
                loose.append(item)
        else:
            book.add_fill(item)
    trips = [trip for book in books.values() for trip in book.finish()]
    return tuple(sorted(trips, key=lambda trip: (trip.open_ns, trip.coin))), tuple(loose)


def _merged(record: SessionRecord) -> Iterator[AttributedFill | FundingRow]:
    """Yield fills and funding by time; funding of one instant is due on the position before."""
    funding = sorted(record.funding, key=lambda row: row.ts_ns)
    i = 0
    for fill in record.fills:
        while i < len(funding) and funding[i].ts_ns <= fill.fill.ts_exch_ns:
            yield funding[i]
            i += 1
        yield fill
    yield from funding[i:]


class _OpenTrip:
    """A round trip while it runs; ``cash_micro`` is what its trades have paid and received."""

    def __init__(self, attributed: AttributedFill, *, open_ns: int, is_long: bool) -> None:
        self.strategy = attributed.strategy or UNKNOWN_STRATEGY
        self.regime: Regime = attributed.regime
        self.open_ns = open_ns
        self.is_long = is_long
        self.is_adopted = False
        self.cash_micro = 0
        self.fees_micro = 0
        self.funding_micro = 0
        self.lots_max = 0
        self.lots_in = 0
        self.lots_out = 0
        self.micro_in = 0
        self.micro_out = 0
        self.traded_micro = 0
        self.fill_count = 0

    def move(self, signed_lots: int, px: int) -> None:
        """Take over ``signed_lots`` at ``px``; tells opening from reducing by the direction."""
        notional = abs(signed_lots) * px
        self.cash_micro -= signed_lots * px
        if (signed_lots > 0) == self.is_long:
            self.lots_in += abs(signed_lots)
            self.micro_in += notional
        else:
            self.lots_out += abs(signed_lots)
            self.micro_out += notional


class _CoinBook:
    """One coin's position as its fills come in."""

    def __init__(self, coin: str, record: SessionRecord) -> None:
        self._coin = coin
        self._record = record
        self._position_lots = 0
        self._trip: _OpenTrip | None = None
        self._done: list[RoundTrip] = []
        self._px_last = 0

    def add_funding(self, row: FundingRow) -> bool:
        """Book funding on the trip under way; say whether there is one."""
        if self._trip is None:
            return False
        self._trip.funding_micro += row.funding_micro
        return True

    def add_fill(self, attributed: AttributedFill) -> None:
        """Open, grow, shrink, close or reverse the position."""
        fill = attributed.fill
        if fill.start_position_lots != self._position_lots:
            self._adopt(attributed)
        lots_left, fee_left = fill.lots, fill.fee_micro
        side = 1 if fill.is_buy else -1
        if self._position_lots * side < 0:
            closing = min(lots_left, abs(self._position_lots))
            fee = fee_left if closing == lots_left else fee_left * closing // lots_left
            self._book(attributed, side * closing, fee)
            lots_left, fee_left = lots_left - closing, fee_left - fee
        if lots_left:
            self._book(attributed, side * lots_left, fee_left)
        self._px_last = fill.px

    def finish(self) -> list[RoundTrip]:
        """Return all trips; one that is still open is valued at the last known price."""
        if self._trip is not None:
            px = self._px_of_price(-1) or self._px_last
            self._done.append(self._closed(self._trip, None, px, ""))
            self._trip = None
        return self._done

    def _book(self, attributed: AttributedFill, signed_lots: int, fee_micro: int) -> None:
        fill = attributed.fill
        if self._trip is None:
            self._trip = _OpenTrip(attributed, open_ns=fill.ts_exch_ns, is_long=signed_lots > 0)
        trip = self._trip
        trip.move(signed_lots, fill.px)
        trip.fees_micro += fee_micro
        trip.traded_micro += abs(signed_lots) * fill.px
        trip.fill_count += 1
        self._position_lots += signed_lots
        trip.lots_max = max(trip.lots_max, abs(self._position_lots))
        if self._position_lots == 0:
            self._close(fill, _purpose_text(attributed))

    def _adopt(self, attributed: AttributedFill) -> None:
        """Take over what the fills so far do not explain, at the price of that moment."""
        fill = attributed.fill
        is_first = self._px_last == 0
        px = (self._px_of_price(0) or fill.px) if is_first else fill.px
        ns = self._record.start_ns if is_first else fill.ts_exch_ns
        target = fill.start_position_lots
        if self._trip is not None and self._position_lots * target <= 0:
            self._trip.move(-self._position_lots, px)
            self._position_lots = 0
            self._close(fill, "unseen")
        if target:
            if self._trip is None:
                self._trip = _OpenTrip(attributed, open_ns=ns, is_long=target > 0)
            self._trip.is_adopted = True
            self._trip.move(target - self._position_lots, px)
            self._trip.lots_max = max(self._trip.lots_max, abs(target))
        self._position_lots = target

    def _close(self, fill: Fill, purpose: str) -> None:
        assert self._trip is not None, f"invariant: a trip of {self._coin} is open, was none"
        self._done.append(self._closed(self._trip, fill.ts_exch_ns, fill.px, purpose))
        self._trip = None

    def _closed(self, trip: _OpenTrip, close_ns: int | None, px: int, purpose: str) -> RoundTrip:
        instrument = self._record.instruments[self._coin]
        is_closed = close_ns is not None
        exit_px = trip.micro_out / trip.lots_out if trip.lots_out and is_closed else None
        return RoundTrip(
            coin=self._coin,
            strategy=trip.strategy,
            regime=trip.regime,
            is_long=trip.is_long,
            open_ns=trip.open_ns,
            close_ns=close_ns,
            lots_max=trip.lots_max,
            coins_max=instrument.coins(trip.lots_max),
            entry_price=instrument.px_float(trip.micro_in / trip.lots_in),
            exit_price=None if exit_px is None else instrument.px_float(exit_px),
            exit_purpose=purpose,
            traded_micro=trip.traded_micro,
            price_pnl_micro=trip.cash_micro + self._position_lots * px,
            fees_micro=trip.fees_micro,
            funding_micro=trip.funding_micro,
            fill_count=trip.fill_count,
            is_adopted=trip.is_adopted,
        )

    def _px_of_price(self, i: int) -> int:
        """Return the first or last candle price in price units, 0 if there is none."""
        points = self._record.prices.get(self._coin, ())
        if not points:
            return 0
        return round(points[i].price * self._record.instruments[self._coin].px_scale)


def _purpose_text(attributed: AttributedFill) -> str:
    if attributed.fill.is_liquidation:
        return "liquidation"
    return attributed.purpose.value if attributed.purpose else "foreign"
