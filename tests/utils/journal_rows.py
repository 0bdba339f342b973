"""Events and steps to fill a journal with, small and readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.model.account import AttributedFill, EquityPoint, Fill, OrderRow
from core.model.codes import Mode, OrderStatus, Purpose, RefusalCode, Regime, TradingState
from core.model.events import (
    AnyEvent,
    BboChanged,
    CandleChanged,
    CandlesLoaded,
    FundingPaid,
    InstrumentsListed,
    LedgerMoved,
    SessionEnded,
    SessionStarted,
)
from core.model.instrument import Instrument, MarginTier
from core.model.market import Candle
from core.model.step import Decision, Refusal, Step
from core.model.time import NS_PER_HOUR, NS_PER_MIN

START_NS = 1_746_403_200_000_000_000
BTC = Instrument("BTC", 0, 5, 40, margin_tiers=(MarginTier(0, 40), MarginTier(10**14, 20)))
SOL = Instrument("SOL", 5, 2, 20)


def bbo(seq: int, px: int = 971_235) -> BboChanged:
    return BboChanged(
        seq=seq, ts_exch_ns=START_NS + seq, ts_recv_ns=START_NS + seq + 1, coin="BTC",
        bid_px=px, bid_lots=12, ask_px=px + 10, ask_lots=7,
    )  # fmt: skip


def quiet(seq: int) -> Step:
    return Step(seq=seq, ts_ns=START_NS + seq, trading_state=TradingState.ACTIVE)


def order(status: OrderStatus, *, cloid: str = "0x" + "ab" * 16, oid: int = 7) -> OrderRow:
    return OrderRow(
        cloid=cloid, oid=oid, coin="BTC", strategy="scalping", purpose=Purpose.ENTRY, is_buy=True,
        px=971_235, lots=100, lots_left=40, reduce_only=False, trigger_px=0, status=status,
        sent_ns=START_NS, changed_ns=START_NS + 5,
    )  # fmt: skip


def fill(tid: int, *, purpose: Purpose | None = Purpose.ENTRY) -> AttributedFill:
    return AttributedFill(
        fill=Fill(
            coin="BTC", oid=7, cloid=None if purpose is None else "0x" + "ab" * 16, tid=tid,
            is_buy=True, px=971_235, lots=60, fee_micro=-12, is_maker=True, closed_pnl_micro=-3,
            start_position_lots=-60, ts_exch_ns=START_NS + 9, is_liquidation=False,
        ),
        strategy="scalping", purpose=purpose, regime=Regime.RANGING, arrival_mid_x2=1_942_480,
    )  # fmt: skip


def busy(seq: int, **parts: Any) -> Step:
    return Step(seq=seq, ts_ns=START_NS + seq, trading_state=TradingState.ACTIVE, **parts)


def candle(minute: int, close_px: int) -> Candle:
    return Candle(START_NS + minute * NS_PER_MIN, close_px, close_px, close_px, close_px, 5)


def story() -> Iterator[tuple[AnyEvent, Step]]:
    """A whole small session; seq 1 to 12."""

    def at(seq: int, minute: int = 0) -> dict[str, int]:
        ns = START_NS + minute * NS_PER_MIN
        return {"seq": seq, "ts_exch_ns": ns, "ts_recv_ns": ns + seq}

    events: list[AnyEvent] = [
        SessionStarted(
            seq=1, ts_recv_ns=START_NS, session="demo-1", mode=Mode.DEMO, account="0x" + "1" * 40,
            version="0.1.0", config_json="{}", seed=7,
        ),
        InstrumentsListed(**at(2), instruments=(BTC, SOL)),
        LedgerMoved(**at(3), kind="deposit", amount_micro=10_000_000_000),
        CandlesLoaded(
            **at(4), coin="BTC", interval_ns=NS_PER_MIN,
            candles=(candle(-2, 960_000), candle(-1, 965_000)),
        ),
        CandleChanged(**at(5), coin="BTC", interval_ns=NS_PER_MIN, candle=candle(0, 970_000)),
        CandleChanged(**at(6), coin="BTC", interval_ns=NS_PER_MIN, candle=candle(0, 970_500)),
        CandleChanged(**at(7, 1), coin="BTC", interval_ns=NS_PER_MIN, candle=candle(1, 971_000)),
        bbo(8),
        FundingPaid(**at(9, 60), coin="BTC", funding_micro=-1_250, position_lots=60, rate_1h=1e-5),
        FundingPaid(**at(10, 60), coin="BTC", funding_micro=-1_250, position_lots=60, rate_1h=1e-5),
        CandleChanged(**at(11, 61), coin="BTC", interval_ns=NS_PER_MIN, candle=candle(61, 972_000)),
        SessionEnded(**at(12, 61), reason="duration reached"),
    ]  # fmt: skip
    steps = {
        3: busy(3, equity=EquityPoint(START_NS, 10_000_000_000, 10_000_000_000, 0, 0.0)),
        7: busy(
            7,
            orders=(order(OrderStatus.IN_FLIGHT, oid=0),),
            decisions=(
                Decision(coin="BTC", regime=Regime.RANGING, regime_confidence=0.7,
                         strategy="scalping", strategy_reason="fits", wish="long", why_not=""),
            ),
            refusals=(
                Refusal(RefusalCode.DATA_STALE, "SOL", "scalping", "was 9 s, limit 5 s"),
                Refusal(RefusalCode.DATA_STALE, "BTC", "scalping", "was 8 s, limit 5 s"),
            ),
        ),
        8: busy(
            8,
            orders=(order(OrderStatus.FILLED), order(OrderStatus.CANCELLED, cloid="", oid=99)),
            fills=(fill(1), fill(2, purpose=None)),
        ),
        10: busy(
            10,
            equity=EquityPoint(
                START_NS + NS_PER_HOUR, 9_999_998_750, 9_999_000_000, 58_274_100, 0.25
            ),
        ),
    }  # fmt: skip
    for event in events:
        yield event, steps.get(event.seq, quiet(event.seq))
