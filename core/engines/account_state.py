"""What is ours: cash and positions, moved only by fills, fees, funding and ledger events.

Cash is the venue's raw USD: deposits plus every cash flow, the notional of fills included, so
that equity is cash plus the value of all positions at mark, exactly. The venue's own reports are
compared with it, and win only after a second look. Knows nothing of orders or prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from core.model.account import Fill, PositionReport
from core.model.events import AccountReported, FundingPaid, LedgerMoved
from core.model.instrument import MICRO_PER_USDC, Instrument

SEEN_COUNT_MAX = 20_000
CASH_NOISE_MICRO = 10_000
"""One cent: the venue prints aggregates with float noise and truncates fees; more is a finding."""

PriceOf = Callable[[str], int]


class Agreement(StrEnum):
    """What a report of the venue meant to us."""

    ADOPTED_FIRST = "adopted_first"
    EQUAL = "equal"
    OUTDATED = "outdated"
    DIFFERS = "differs"
    ADOPTED = "adopted"


class Position(msgspec.Struct):
    """One signed position. ``cost_micro`` is what it cost, signed like ``lots``."""

    lots: int = 0
    cost_micro: int = 0
    opened_ns: int = 0

    def apply(self, *, signed_lots: int, px: int, now_ns: int) -> int:
        """Apply one match and return the realized PnL in micro-USDC, fees apart.

        Cost leaves in proportion to the size closed (average cost), rounded down to whole
        micro-USDC, so that realized plus unrealized PnL is exact at every moment.
        """
        realized_micro = 0
        closing = 0
        if self.lots * signed_lots < 0:
            closing = min(abs(self.lots), abs(signed_lots)) * (1 if signed_lots > 0 else -1)
            cost_out = self.cost_micro * abs(closing) // abs(self.lots)
            realized_micro = -closing * px - cost_out
            self.cost_micro -= cost_out
            self.lots += closing
        opening = signed_lots - closing
        if opening:
            if self.lots == 0:
                self.opened_ns = now_ns
            self.lots += opening
            self.cost_micro += opening * px
        if self.lots == 0:
            assert self.cost_micro == 0, f"invariant: flat costs nothing, was {self.cost_micro}"
            self.opened_ns = 0
        return realized_micro


class AccountFacts(msgspec.Struct):
    """All state of the account; everything else is derived."""

    cash_micro: int = 0
    positions: dict[str, Position] = {}
    realized_pnl_micro: int = 0
    fees_micro: int = 0
    funding_micro: int = 0
    ledger_micro: int = 0
    is_adopted: bool = False
    adopted_ns: int = 0
    # Ledger rows up to here were part of the first report: the anchors never knew other money.
    ledger_ns: int = 0
    fill_ns: int = 0
    differ_count: int = 0
    # Keys in order of arrival; the oldest leave first, long after they can come again.
    fills_seen: dict[str, int] = {}
    flows_seen: dict[str, int] = {}


class AccountState:
    """Cash and positions of one account."""

    def __init__(self) -> None:
        self.facts = AccountFacts()

    @property
    def cash_micro(self) -> int:
        """Raw USD: deposits plus all cash flows, notional included."""
        return self.facts.cash_micro

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by coin; none of them is flat."""
        return self.facts.positions

    def lots(self, coin: str) -> int:
        """Return the signed position of a coin in lots."""
        position = self.facts.positions.get(coin)
        return position.lots if position is not None else 0

    def entry_px(self, coin: str) -> float:
        """Return the average entry in price units, for display; ``nan`` when flat."""
        position = self.facts.positions.get(coin)
        return position.cost_micro / position.lots if position is not None else float("nan")

    def equity_micro(self, price_of: PriceOf) -> int:
        """Return cash plus the value of all positions at ``price_of``; cost where it gives 0."""
        equity = self.facts.cash_micro
        for coin, position in self.facts.positions.items():
            px = price_of(coin)
            equity += position.lots * px if px else position.cost_micro
        return equity

    def unrealized_micro(self, coin: str, px: int) -> int:
        """Return a coin's open PnL at ``px``; 0 when flat or when the price is unknown."""
        position = self.facts.positions.get(coin)
        return position.lots * px - position.cost_micro if position is not None and px else 0

    def balance_micro(self) -> int:
        """Return cash with positions at cost: equity without open PnL."""
        return self.facts.cash_micro + sum(p.cost_micro for p in self.facts.positions.values())

    def apply_fill(self, fill: Fill, now_ns: int) -> int | None:
        """Apply one fill once.

        Returns
        -------
        int or None
            Realized PnL in micro-USDC, fees apart; ``None`` if it was known already, as a
            repeat or as part of the report that was adopted.
        """
        facts = self.facts
        # Source: venue documentation; a tid is unique within time and coin only.
        if not _first_time(facts.fills_seen, f"{fill.coin}:{fill.tid}:{fill.ts_exch_ns}"):
            return None
        if not facts.is_adopted or self._is_in_adopted_report(fill):
            return None
        position = facts.positions.setdefault(fill.coin, Position())
        realized = position.apply(signed_lots=fill.signed_lots, px=fill.px, now_ns=now_ns)
        if position.lots == 0:
            del facts.positions[fill.coin]
        facts.cash_micro -= fill.signed_lots * fill.px + fill.fee_micro
        facts.fees_micro += fill.fee_micro
        facts.realized_pnl_micro += realized
        facts.fill_ns = max(facts.fill_ns, fill.ts_exch_ns)
        return realized

    def apply_funding(self, event: FundingPaid) -> bool:
        """Apply one funding payment once; tell whether it was new."""
        facts = self.facts
        is_new = _first_time(facts.flows_seen, f"funding:{event.coin}:{event.ts_exch_ns}")
        if not is_new or not facts.is_adopted or event.ts_exch_ns <= facts.adopted_ns:
            return False
        facts.cash_micro += event.funding_micro
        facts.funding_micro += event.funding_micro
        return True

    def apply_ledger(self, event: LedgerMoved) -> bool:
        """Apply one deposit, withdrawal or transfer once; tell whether it was new.

        One that an adopted report held already moves no cash, but is still news for whoever
        counts profit: it explains a part of what was adopted.
        """
        facts = self.facts
        key = f"ledger:{event.kind}:{event.hash}:{event.ts_exch_ns}:{event.amount_micro}"
        if not _first_time(facts.flows_seen, key):
            return False
        if not facts.is_adopted or event.ts_exch_ns <= facts.ledger_ns:
            return False
        if event.ts_exch_ns > facts.adopted_ns:
            facts.cash_micro += event.amount_micro
        facts.ledger_micro += event.amount_micro
        return True

    def reconcile(
        self, report: AccountReported, instruments: Mapping[str, Instrument], now_ns: int
    ) -> tuple[Agreement, str]:
        """Compare a report of the venue with our own state.

        The first report is adopted. A later one that differs is a reason to ask again, because
        fills may be under way; the second in a row that differs is adopted, so that we always
        end up with the venue's truth.

        Returns
        -------
        agreement, detail : tuple of Agreement and str
            What it meant, and what differed.
        """
        facts = self.facts
        report_ns = report.ts_exch_ns or now_ns
        if facts.is_adopted and report_ns < max(facts.fill_ns, facts.adopted_ns):
            return Agreement.OUTDATED, "older than the last fill"
        if not facts.is_adopted:
            facts.ledger_ns = report_ns
            self._adopt(report, instruments, report_ns, now_ns)
            return Agreement.ADOPTED_FIRST, f"{len(facts.positions)} positions"
        detail = self._difference(report)
        if not detail:
            facts.differ_count = 0
            return Agreement.EQUAL, ""
        facts.differ_count += 1
        if facts.differ_count < 2:
            return Agreement.DIFFERS, detail
        facts.differ_count = 0
        self._adopt(report, instruments, report_ns, now_ns)
        return Agreement.ADOPTED, detail

    def _difference(self, report: AccountReported) -> str:
        theirs = {p.coin: p.position_lots for p in report.positions if p.position_lots}
        ours = {coin: p.lots for coin, p in self.facts.positions.items()}
        parts = [
            f"{coin} {ours.get(coin, 0)} lots here, {theirs.get(coin, 0)} at the venue"
            for coin in sorted(theirs.keys() | ours.keys())
            if theirs.get(coin, 0) != ours.get(coin, 0)
        ]
        if abs(report.cash_micro - self.facts.cash_micro) > CASH_NOISE_MICRO:
            parts.append(
                f"cash {self.facts.cash_micro} micro-USDC here, {report.cash_micro} at the venue"
            )
        return "; ".join(parts)

    def _adopt(
        self,
        report: AccountReported,
        instruments: Mapping[str, Instrument],
        report_ns: int,
        now_ns: int,
    ) -> None:
        facts = self.facts
        before = facts.positions
        facts.positions = {}
        for row in report.positions:
            if row.position_lots == 0:
                continue
            known = before.get(row.coin)
            if known is not None and known.lots == row.position_lots:
                facts.positions[row.coin] = known
                continue
            opened_ns = known.opened_ns if known is not None else now_ns
            cost = _cost_micro(row, instruments.get(row.coin))
            facts.positions[row.coin] = Position(row.position_lots, cost, opened_ns)
        facts.cash_micro = report.cash_micro
        facts.adopted_ns = report_ns
        facts.is_adopted = True

    def _is_in_adopted_report(self, fill: Fill) -> bool:
        """Tell whether the adopted report holds this fill already.

        In the report's own millisecond the fill's position before it decides.
        """
        if fill.ts_exch_ns != self.facts.adopted_ns:
            return fill.ts_exch_ns < self.facts.adopted_ns
        return fill.start_position_lots != self.lots(fill.coin)


def _cost_micro(row: PositionReport, instrument: Instrument | None) -> int:
    """Return the cost basis from the venue's average entry, which is for display only."""
    if instrument is None:
        return 0
    return round(row.entry_price * MICRO_PER_USDC * row.position_lots / instrument.lots_scale)


def _first_time(seen: dict[str, int], key: str) -> bool:
    if key in seen:
        return False
    seen[key] = 1
    if len(seen) > SEEN_COUNT_MAX:
        del seen[next(iter(seen))]
    return True
