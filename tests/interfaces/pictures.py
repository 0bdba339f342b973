"""Realistic pictures of a system for the tests of this room; every number is made up."""

from __future__ import annotations

from typing import Any

import msgspec

from core.model.account import AttributedFill, EquityPoint, Fill, OrderRow
from core.model.codes import Mode, OrderStatus, Purpose, Regime, TradingState
from core.model.instrument import Instrument
from core.model.record import FundingRow, PricePoint, SessionRecord
from core.model.status import CoinStatus, SystemStatus
from core.model.time import NS_PER_MIN, NS_PER_MS, NS_PER_S

START_NS = 1_746_403_200 * NS_PER_S
NOW_NS = START_NS + 9 * 60 * NS_PER_MIN
ACCOUNT = "0x12ab34cd56ef7890a1b2c3d4e5f60718293a4b5c"
HOSTILE = "<script>alert(1)</script>[bold red]\x1b[2Jevil\x07\n[/]& \"'"
USDC = 1_000_000
NAN = float("nan")


def coin_status(coin: str, **changes: Any) -> CoinStatus:
    base = CoinStatus(
        coin=coin,
        price=97_123.5,
        mark_price=97_120.0,
        data_age_ns=240 * NS_PER_MS,
        regime=Regime.TRENDING,
        regime_confidence=0.82,
        strategy="trend_following",
        strategy_reason="fits trending best: 0.90 against 0.55 of scalping; held for 14 min",
        wish="long at 0.8 strength: close above the 40-candle channel, fast average above slow",
        why_not="",
        position_coins=0.0412,
        position_notional_micro=4_001_488_200,
        entry_price=96_880.0,
        unrealized_pnl_micro=10_032_200,
        stop_price=96_210.0,
        target_price=98_890.0,
        sz_decimals=5,
    )
    return msgspec.structs.replace(base, **changes)


def coins() -> tuple[CoinStatus, ...]:
    return (
        coin_status("BTC"),
        coin_status(
            "ETH",
            price=1_812.4,
            regime=Regime.RANGING,
            regime_confidence=0.64,
            strategy="mean_reversion",
            strategy_reason="fits ranging best: 0.85 against 0.80 of grid_trading",
            wish="",
            why_not="ORDER_IN_FLIGHT: entry sent 1.2 s ago, no answer yet",
            position_coins=-1.25,
            position_notional_micro=2_265_500_000,
            entry_price=1_820.1,
            unrealized_pnl_micro=-9_625_000,
            stop_price=1_840.0,
            target_price=NAN,
            sz_decimals=4,
        ),
        coin_status(
            "SOL",
            price=145.31,
            regime=Regime.VOLATILE,
            regime_confidence=0.41,
            strategy="",
            strategy_reason="nobody fits volatile at 0.41 confidence: best is 0.22, least is 0.30",
            wish="",
            why_not="no strategy fits; spread 4.1 bps, data fresh",
            position_coins=0.0,
            position_notional_micro=0,
            entry_price=NAN,
            unrealized_pnl_micro=0,
            stop_price=NAN,
            target_price=NAN,
            sz_decimals=2,
        ),
    )


def order(i: int, coin: str = "BTC", **changes: Any) -> OrderRow:
    base = OrderRow(
        cloid=f"0x{i:032x}",
        oid=1_000 + i,
        coin=coin,
        strategy="trend_following",
        purpose=Purpose.STOP,
        is_buy=False,
        px=960_000,
        lots=4_120,
        lots_left=4_120,
        reduce_only=True,
        trigger_px=962_100,
        status=OrderStatus.WORKING,
        sent_ns=NOW_NS - 60 * NS_PER_S,
        changed_ns=NOW_NS - 59 * NS_PER_S,
    )
    return msgspec.structs.replace(base, **changes)


def fill(i: int, coin: str = "BTC", **changes: Any) -> Fill:
    base = Fill(
        coin=coin,
        oid=1_000 + i,
        cloid=f"0x{i:032x}",
        tid=50_000 + i,
        is_buy=i % 2 == 0,
        px=968_800 + i,
        lots=4_120,
        fee_micro=1_796_000,
        is_maker=False,
        closed_pnl_micro=0 if i % 2 == 0 else 12_340_000,
        start_position_lots=0 if i % 2 == 0 else 4_120,
        ts_exch_ns=START_NS + i * 7 * NS_PER_MIN,
    )
    return msgspec.structs.replace(base, **changes)


def attributed(i: int, **changes: Any) -> AttributedFill:
    purpose = Purpose.ENTRY if i % 2 == 0 else Purpose.EXIT
    return AttributedFill(
        fill=fill(i, **changes),
        strategy="trend_following",
        purpose=purpose,
        regime=Regime.TRENDING,
        arrival_mid_x2=2 * 968_790,
    )


def equity_points(count: int = 120) -> tuple[EquityPoint, ...]:
    return tuple(
        EquityPoint(
            START_NS + i * NS_PER_MIN,
            10_000 * USDC + (i * 37 % 50 - 20 + i // 4) * USDC // 2,
            10_000 * USDC,
            6_000 * USDC,
            0.004,
        )
        for i in range(count)
    )


def status(**changes: Any) -> SystemStatus:
    base = SystemStatus(
        mode=Mode.DEMO,
        session="20250505-090000-demo-7",
        account=ACCOUNT,
        seq=48_211,
        ts_ns=NOW_NS,
        trading_state=TradingState.ACTIVE,
        state_reason="reconciled with the venue: 2 positions, 3 orders",
        equity_micro=10_023_410_000,
        cash_micro=10_010_000_000,
        day_pnl_micro=23_410_000,
        realized_pnl_micro=31_250_000,
        fees_micro=8_240_000,
        funding_micro=-310_000,
        drawdown=0.0123,
        drawdown_limit=0.15,
        exposure_gross_micro=6_266_988_200,
        margin_used_micro=626_698_820,
        requests_used=1_204,
        requests_cap=10_412,
        ip_weight_used=61,
        ip_weight_cap=1_200,
        coins=coins(),
        orders=(
            order(1),
            order(2, purpose=Purpose.TARGET, px=988_900, trigger_px=988_900),
            order(
                3,
                "ETH",
                purpose=Purpose.ENTRY,
                trigger_px=0,
                px=181_150,
                lots=12_500,
                lots_left=7_500,
                strategy="mean_reversion",
                status=OrderStatus.IN_FLIGHT,
            ),
        ),
        fills=tuple(attributed(i) for i in range(6)),
        strategies={"trend_following": "running", "scalping": "running", "rl_ai": "stopped"},
        refusals={"ORDER_IN_FLIGHT": 12, "SPREAD_TOO_WIDE": 3},
        quarantined_count=0,
    )
    return msgspec.structs.replace(base, **changes)


def record(**changes: Any) -> SessionRecord:
    base = SessionRecord(
        session="20250505-090000-demo-7",
        mode=Mode.DEMO,
        start_ns=START_NS,
        end_ns=START_NS + 120 * NS_PER_MIN,
        instruments={"BTC": Instrument("BTC", 0, 5, 40)},
        equity=equity_points(),
        fills=tuple(attributed(i) for i in range(6)),
        funding=(FundingRow(START_NS + 60 * NS_PER_MIN, "BTC", -310_000),),
        prices={
            "BTC": tuple(
                PricePoint(START_NS + i * NS_PER_MIN, 97_000.0 + i % 9) for i in range(120)
            )
        },
        order_counts={"filled": 6, "cancelled": 2},
        refusal_counts={"ORDER_IN_FLIGHT": 12},
        state_reason="",
        assumptions=("latency of 50 ms each way",),
    )
    return msgspec.structs.replace(base, **changes)
