"""Cash and positions: exact, once, and in agreement with the venue."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from core.engines.account_state import (
    CASH_NOISE_MICRO,
    SEEN_COUNT_MAX,
    AccountState,
    Agreement,
    Position,
)
from core.model.account import Fill, PositionReport
from core.model.events import AccountReported, FundingPaid, LedgerMoved
from tests.engines.fakes import BTC, T0

INSTRUMENTS = {"BTC": BTC}
IDS = itertools.count(1)


def fill(lots: int, px: int = 100, *, fee: int = 3, start: int = 0, ts: int = T0 + 1, tid: int = 0):
    return Fill(
        coin="BTC",
        oid=1,
        cloid=None,
        tid=tid or next(IDS),
        is_buy=lots > 0,
        px=px,
        lots=abs(lots),
        fee_micro=fee,
        is_maker=False,
        closed_pnl_micro=0,
        start_position_lots=start,
        ts_exch_ns=ts,
    )


def report(cash: int, lots: int = 0, *, ts: int = T0, entry: float = 10.0) -> AccountReported:
    row = PositionReport(
        coin="BTC",
        position_lots=lots,
        entry_price=entry,
        leverage=10,
        is_cross=True,
        margin_used_micro=0,
    )
    return AccountReported(
        account_value_micro=0,
        cash_micro=cash,
        margin_used_micro=7,
        withdrawable_micro=0,
        positions=(row,) if lots else (),
        ts_exch_ns=ts,
    )


def adopted(cash: int = 1_000_000, lots: int = 0) -> AccountState:
    account = AccountState()
    assert account.reconcile(report(cash, lots), INSTRUMENTS, T0)[0] is Agreement.ADOPTED_FIRST
    return account


@given(
    st.lists(
        st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10_000), st.integers(-9, 99)),
        max_size=40,
    ),
    st.integers(1, 10_000),
)
def test_equity_is_cash_flows_plus_value_and_pnl_adds_up(trades, mark):
    account = adopted(cash=5_000)
    lots = 0
    for size, px, fee in trades:
        account.apply_fill(fill(size, px, fee=fee, start=lots), T0)
        lots += size
    flows = sum(-size * px - fee for size, px, fee in trades)
    equity = account.equity_micro(lambda coin: mark)
    assert account.lots("BTC") == lots
    assert equity == 5_000 + flows + lots * mark
    facts = account.facts
    open_pnl = account.unrealized_micro("BTC", mark)
    assert equity == 5_000 + facts.realized_pnl_micro + open_pnl - facts.fees_micro
    assert account.balance_micro() == equity - open_pnl


@given(st.lists(st.integers(-5, 5).filter(bool), max_size=20))
def test_a_flat_position_costs_nothing_and_is_gone(sizes):
    account = adopted()
    lots = 0
    for size in sizes:
        account.apply_fill(fill(size, 77, start=lots), T0)
        lots += size
        assert ("BTC" in account.positions) is (lots != 0)


def test_a_position_opens_when_it_leaves_zero_and_again_when_it_flips():
    position = Position()
    position.apply(signed_lots=5, px=100, now_ns=1)
    position.apply(signed_lots=5, px=120, now_ns=2)
    assert (position.lots, position.cost_micro, position.opened_ns) == (10, 1_100, 1)
    assert position.apply(signed_lots=-4, px=130, now_ns=3) == 4 * 130 - 440
    assert (position.lots, position.cost_micro, position.opened_ns) == (6, 660, 1)
    assert position.apply(signed_lots=-8, px=100, now_ns=4) == 6 * 100 - 660
    assert (position.lots, position.cost_micro, position.opened_ns) == (-2, -200, 4)


def test_a_fill_counts_once_by_coin_and_tid():
    account = adopted()
    one = fill(5, tid=9)
    assert account.apply_fill(one, T0) == 0
    assert account.apply_fill(one, T0) is None
    assert account.lots("BTC") == 5


def test_nothing_is_applied_before_the_first_report_or_when_it_is_part_of_it():
    account = AccountState()
    assert account.apply_fill(fill(5), T0) is None
    account.reconcile(report(100, 5), INSTRUMENTS, T0)
    assert account.apply_fill(fill(5, ts=T0 - 1), T0) is None
    assert account.lots("BTC") == 5


def test_in_the_reports_own_moment_the_position_before_the_fill_decides():
    included, later = adopted(lots=5), adopted(lots=5)
    assert included.apply_fill(fill(5, ts=T0, start=0), T0) is None
    assert later.apply_fill(fill(5, ts=T0, start=5), T0) == 0
    assert (included.lots("BTC"), later.lots("BTC")) == (5, 10)


def test_funding_and_ledger_count_once_and_not_if_the_report_had_them():
    account = adopted(cash=100)
    paid = FundingPaid(
        coin="BTC", funding_micro=-7, position_lots=5, rate_1h=0.1, ts_exch_ns=T0 + 1
    )
    moved = LedgerMoved(kind="deposit", amount_micro=50, hash="0x1", ts_exch_ns=T0 + 1)
    assert account.apply_funding(paid) and not account.apply_funding(paid)
    assert account.apply_ledger(moved) and not account.apply_ledger(moved)
    assert account.cash_micro == 100 - 7 + 50
    assert (account.facts.funding_micro, account.facts.ledger_micro) == (-7, 50)
    old = LedgerMoved(kind="deposit", amount_micro=50, hash="0x2", ts_exch_ns=T0)
    assert not account.apply_ledger(old)


def test_the_memory_of_fills_is_bounded():
    account = adopted()
    for tid in range(1, SEEN_COUNT_MAX + 50):
        account.apply_fill(fill(1, tid=tid), T0)
    assert len(account.facts.fills_seen) == SEEN_COUNT_MAX


def test_an_equal_report_agrees_and_float_noise_is_no_difference():
    account = adopted(cash=100_000_000)
    for noise in (0, CASH_NOISE_MICRO, -CASH_NOISE_MICRO):
        again = account.reconcile(report(100_000_000 + noise), INSTRUMENTS, T0)
        assert again == (Agreement.EQUAL, "")
    worse = report(100_000_001 + CASH_NOISE_MICRO)
    assert account.reconcile(worse, INSTRUMENTS, T0)[0] is Agreement.DIFFERS


def test_a_difference_is_adopted_only_the_second_time():
    account = adopted(cash=100)
    agreement, detail = account.reconcile(report(100, 4, ts=T0 + 5), INSTRUMENTS, T0)
    assert agreement is Agreement.DIFFERS and detail == "BTC 0 lots here, 4 at the venue"
    assert account.lots("BTC") == 0
    agreement, _ = account.reconcile(report(100, 4, ts=T0 + 6), INSTRUMENTS, T0)
    assert agreement is Agreement.ADOPTED and account.lots("BTC") == 4
    # 10 USDC a coin is 100 price units: four lots cost 400 micro-USDC.
    assert account.positions["BTC"].cost_micro == 400
    agreement, _ = account.reconcile(report(100, 4, ts=T0 + 7), INSTRUMENTS, T0)
    assert agreement is Agreement.EQUAL


def test_fills_that_explain_a_difference_make_it_go_away():
    account = adopted(cash=1_000)
    ahead = report(1_000 - 400 - 3, 4, ts=T0 + 5)
    assert account.reconcile(ahead, INSTRUMENTS, T0)[0] is Agreement.DIFFERS
    account.apply_fill(fill(4, 100, ts=T0 + 4), T0)
    assert account.reconcile(ahead, INSTRUMENTS, T0)[0] is Agreement.EQUAL
    assert account.facts.differ_count == 0


def test_a_report_older_than_the_last_fill_says_nothing():
    account = adopted(cash=1_000)
    account.apply_fill(fill(4, 100, ts=T0 + 9), T0)
    assert account.reconcile(report(1_000, 0, ts=T0 + 8), INSTRUMENTS, T0)[0] is Agreement.OUTDATED
