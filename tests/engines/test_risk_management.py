"""The gate's refusals, the account's limits, and the doors that work on their own."""

from __future__ import annotations

import msgspec
import pytest

from core.engines.risk_management import (
    OPEN_ORDERS_MAX,
    OPEN_ORDERS_PER_COIN_MAX,
    CoinExposure,
    GateFacts,
    OrderProposal,
    RiskManagement,
    taking_px,
)
from core.model.account import OrderRow
from core.model.codes import OrderStatus, Purpose, RefusalCode, Tif, TradingState
from core.model.settings import TradingParams
from core.model.time import NS_PER_DAY, NS_PER_S
from tests.engines.fakes import BTC, PX, T0

EQUITY = 10_000_000_000
PARAMS = TradingParams(
    max_position_ratio=1.0,
    max_exposure_ratio=2.0,
    max_margin_use=0.5,
    max_open_positions=3,
    max_daily_loss=0.02,
    max_daily_drawdown=0.05,
    max_drawdown=0.15,
    price_band=0.05,
    spread_bps_max=20.0,
    data_age_seconds_max=180.0,
)


def exposure(coin: str = "BTC", **changes: int) -> CoinExposure:
    fields = {
        "value_px": PX,
        "position_lots": 0,
        "buy_lots": 0,
        "sell_lots": 0,
        "leverage": 10,
    }
    return CoinExposure(coin=coin, **{**fields, **changes})


def facts(**changes: object) -> GateFacts:
    fields = {
        "now_ns": T0,
        "trading_state": TradingState.ACTIVE,
        "equity_micro": EQUITY,
        "instrument": BTC,
        "own": exposure(),
        "others": (),
        "touch_ns": T0,
        "spread_bps": 1.0,
        "mark_px": PX,
        "has_gap": False,
        "is_warm": True,
        "leverage_set": 10,
        "venue_until_ns": 0,
        "requests_used": 10,
        "requests_cap": 10_000,
        "open_orders": 0,
        "open_orders_of_coin": 0,
        "open_in_flight": 0,
    }
    return GateFacts(**{**fields, **changes})


def order(**changes: object) -> OrderProposal:
    fields = {
        "purpose": Purpose.ENTRY,
        "is_buy": True,
        "px": PX,
        "lots": 5_000,
        "reduce_only": False,
        "needs_stop": True,
        "stop_px": 990_000,
    }
    return OrderProposal(**{**fields, **changes})


def code(proposal: OrderProposal, gate: GateFacts) -> RefusalCode | None:
    verdict = RiskManagement(PARAMS).check_order(proposal, gate)
    return verdict[0] if verdict else None


ETH_HELD = exposure("ETH", position_lots=9_000)
DELISTED = msgspec.structs.replace(BTC, is_delisted=True)

# Each limit just kept and just broken: the boundary is where a comparison goes wrong.
CASES = [
    ({}, {"trading_state": TradingState.HALTED}, RefusalCode.TRADING_HALTED),
    ({}, {"trading_state": TradingState.REDUCING}, RefusalCode.TRADING_REDUCING),
    ({}, {"instrument": None}, RefusalCode.INSTRUMENT_UNKNOWN),
    ({}, {"instrument": DELISTED}, RefusalCode.INSTRUMENT_DELISTED),
    ({}, {"venue_until_ns": T0}, None),
    ({}, {"venue_until_ns": T0 + 1}, RefusalCode.VENUE_UNAVAILABLE),
    ({}, {"touch_ns": 0}, RefusalCode.DATA_STALE),
    ({}, {"touch_ns": T0 - 180 * NS_PER_S}, None),
    ({}, {"touch_ns": T0 - 180 * NS_PER_S - 1}, RefusalCode.DATA_STALE),
    ({}, {"spread_bps": float("nan")}, RefusalCode.DATA_STALE),
    ({}, {"mark_px": 0}, RefusalCode.DATA_STALE),
    ({}, {"has_gap": True}, RefusalCode.DATA_GAP),
    ({}, {"is_warm": False}, RefusalCode.DATA_WARMING_UP),
    ({}, {"spread_bps": 20.0}, None),
    ({}, {"spread_bps": 20.1}, RefusalCode.SPREAD_TOO_WIDE),
    ({"px": 1_050_000}, {}, None),
    ({"px": 1_050_010}, {}, RefusalCode.PRICE_OUT_OF_BAND),
    ({"px": 949_990, "is_buy": False}, {}, RefusalCode.PRICE_OUT_OF_BAND),
    ({"stop_px": 0}, {}, RefusalCode.STOP_MISSING),
    ({"stop_px": 0, "needs_stop": False}, {}, None),
    ({}, {"open_in_flight": 1}, RefusalCode.ORDER_IN_FLIGHT),
    ({}, {"open_orders": OPEN_ORDERS_MAX}, RefusalCode.ORDERS_TOO_MANY),
    ({}, {"open_orders_of_coin": OPEN_ORDERS_PER_COIN_MAX}, RefusalCode.ORDERS_TOO_MANY),
    ({}, {"requests_used": 9_499}, None),
    ({}, {"requests_used": 9_500}, RefusalCode.RATE_BUDGET_SPENT),
    ({}, {"requests_used": 9_500, "requests_cap": 0}, None),
    ({}, {"leverage_set": 0}, RefusalCode.LEVERAGE_UNKNOWN),
    ({}, {"equity_micro": 0}, RefusalCode.EQUITY_FLOOR_REACHED),
    ({"lots": 10_000}, {}, None),
    ({"lots": 10_001}, {}, RefusalCode.POSITION_TOO_LARGE),
    ({"lots": 5_000}, {"own": exposure(position_lots=5_000)}, None),
    ({"lots": 5_001}, {"own": exposure(position_lots=5_000)}, RefusalCode.POSITION_TOO_LARGE),
    ({"lots": 5_001}, {"own": exposure(buy_lots=5_000)}, RefusalCode.POSITION_TOO_LARGE),
    ({"lots": 5_001}, {"own": exposure(sell_lots=5_000)}, None),
    ({"lots": 5_001, "replaced_lots": 1}, {"own": exposure(buy_lots=5_000)}, None),
    ({"lots": 10_000}, {"others": (exposure("ETH", position_lots=10_000),)}, None),
    (
        {"lots": 10_000},
        {"others": (exposure("ETH", position_lots=-6_000, sell_lots=4_001),)},
        RefusalCode.EXPOSURE_TOO_LARGE,
    ),
    (
        {"lots": 10},
        {"others": tuple(exposure(c, buy_lots=10) for c in ("ETH", "SOL"))},
        None,
    ),
    (
        {"lots": 10},
        {"others": tuple(exposure(c, buy_lots=10) for c in ("ETH", "SOL", "DOGE"))},
        RefusalCode.POSITIONS_TOO_MANY,
    ),
    ({"lots": 5_000}, {"leverage_set": 1}, None),
    ({"lots": 5_001}, {"leverage_set": 1}, RefusalCode.MARGIN_INSUFFICIENT),
    (
        {"lots": 5_000},
        {"leverage_set": 1, "others": (exposure("ETH", position_lots=1, leverage=1),)},
        RefusalCode.MARGIN_INSUFFICIENT,
    ),
]


@pytest.mark.parametrize(("proposal", "gate", "expected"), CASES)
def test_each_limit_kept_and_broken(proposal, gate, expected):
    assert code(order(**proposal), facts(**gate)) is expected


def test_getting_out_is_never_refused_for_reasons_of_getting_in():
    broken = {k: v for _, gate, refusal in CASES if refusal for k, v in gate.items()}
    broken.update(instrument=BTC, trading_state=TradingState.HALTED)
    assert code(order(reduce_only=True, px=1), facts(**broken)) is None


def test_a_refusal_tells_the_number_and_the_limit():
    verdict = RiskManagement(PARAMS).check_order(order(lots=20_000), facts())
    assert verdict == (RefusalCode.POSITION_TOO_LARGE, "was 2.000 equities, limit 1.000")


# --- the account ----------------------------------------------------------------------------


def judged(risk: RiskManagement, equity: int, now: int = T0) -> tuple[TradingState, bool]:
    judgement = risk.monitor_risk({"equity_micro": equity, "now_ns": now})
    return judgement.state, judgement.must_flatten


def test_the_ladder_goes_from_active_to_reducing_to_halted():
    risk = RiskManagement(PARAMS)
    assert judged(risk, EQUITY) == (TradingState.ACTIVE, False)
    assert judged(risk, 9_800_000_000) == (TradingState.ACTIVE, False)
    assert judged(risk, 9_799_999_999) == (TradingState.REDUCING, False)
    assert judged(risk, EQUITY) == (TradingState.REDUCING, False), "until midnight"
    assert judged(risk, 9_500_000_000) == (TradingState.HALTED, True)
    assert judged(risk, EQUITY, T0 + NS_PER_DAY) == (TradingState.HALTED, True), "latched"
    assert "shutdown at" in risk.state.emergency


def test_the_shutdown_compares_the_days_result_with_the_equity_of_now():
    risk = RiskManagement(PARAMS)
    judged(risk, EQUITY)
    # -0.05 × 9 523 809 524 is -476 190 476.2: a loss of …476 is inside, one micro more is not.
    assert judged(risk, 9_523_809_524)[1] is False
    assert judged(risk, 9_523_809_523)[1] is True


def test_a_new_utc_day_counts_afresh():
    risk = RiskManagement(PARAMS)
    judged(risk, EQUITY)
    judged(risk, 9_700_000_000)
    midnight = (T0 // NS_PER_DAY + 1) * NS_PER_DAY
    assert judged(risk, 9_700_000_000, midnight - 1)[0] is TradingState.REDUCING
    assert judged(risk, 9_700_000_000, midnight)[0] is TradingState.ACTIVE
    assert risk.state.day_anchor_micro == 9_700_000_000


def test_drawdown_counts_from_the_peak_over_days():
    risk = RiskManagement(PARAMS)
    for day in range(4):
        judged(risk, EQUITY - day * 400_000_000, T0 + day * NS_PER_DAY)
    judgement = risk.judge(8_500_000_000, T0 + 4 * NS_PER_DAY)
    assert judgement.code is RefusalCode.DRAWDOWN_REACHED
    assert judgement.drawdown == pytest.approx(0.15)


def test_equity_under_its_floor_shuts_down():
    risk = RiskManagement(TradingParams(equity_floor_usdc=9_900.0, max_daily_drawdown=1.0))
    judged(risk, EQUITY)
    assert risk.judge(9_899_999_999, T0).code is RefusalCode.EQUITY_FLOOR_REACHED


def test_deposits_and_withdrawals_are_neither_profit_nor_loss():
    risk = RiskManagement(PARAMS)
    judged(risk, EQUITY)
    risk.money_moved(-5_000_000_000, 5_000_000_000)
    judgement = risk.judge(5_000_000_000, T0)
    assert (judgement.state, judgement.day_pnl_micro) == (TradingState.ACTIVE, 0)
    assert judgement.drawdown == 0.0


def test_taking_money_out_of_a_drawdown_does_not_deepen_it():
    risk = RiskManagement(PARAMS)
    judged(risk, EQUITY)
    before = risk.judge(EQUITY * 9 // 10, T0 + NS_PER_DAY)
    risk.money_moved(-EQUITY // 2, EQUITY * 4 // 10)
    after = risk.judge(EQUITY * 4 // 10, T0 + NS_PER_DAY)
    assert after.drawdown == pytest.approx(before.drawdown)
    assert (after.state, after.day_pnl_micro) == (TradingState.ACTIVE, 0)


def test_an_empty_account_is_no_emergency():
    assert judged(RiskManagement(PARAMS), 0) == (TradingState.ACTIVE, False)


def test_resuming_counts_afresh_or_it_would_close_again_at_once():
    risk = RiskManagement(PARAMS)
    judged(risk, EQUITY)
    judged(risk, 5_000_000_000)
    risk.resume(5_000_000_000, T0)
    assert judged(risk, 5_000_000_000) == (TradingState.ACTIVE, False)


def test_the_doors_work_on_their_own_without_arguments():
    risk = RiskManagement()
    assert risk.cancel_all_orders() == ()
    assert risk.close_all_positions() == ()
    assert risk.emergency_handler("asked by hand").must_flatten
    assert risk.emergency_handler("again").detail == "asked by hand"
    assert risk.monitor_risk({"equity_micro": EQUITY, "now_ns": T0}).state is TradingState.HALTED


def row(purpose: Purpose, status: OrderStatus) -> OrderRow:
    return OrderRow(
        cloid=f"{purpose}-{status}",
        oid=5,
        coin="BTC",
        strategy="fake",
        purpose=purpose,
        is_buy=True,
        px=PX,
        lots=1,
        lots_left=1,
        reduce_only=False,
        trigger_px=0,
        status=status,
        sent_ns=0,
        changed_ns=0,
    )


def test_cancelling_all_leaves_protection_and_what_is_gone():
    orders = [row(p, s) for p in Purpose for s in OrderStatus]
    cancels = RiskManagement().cancel_all_orders(orders, {"BTC": 3})
    assert len(cancels) == 4 * 2
    assert {c.asset for c in cancels} == {3}
    assert not any(c.cloid.startswith(("stop", "target")) for c in cancels)


def test_closing_all_takes_both_sides_reduce_only_and_invents_no_price():
    orders = RiskManagement(PARAMS).close_all_positions(
        {"BTC": 5, "ETH": -7, "SOL": 1},
        {"BTC": (PX - 10, PX + 10), "ETH": (PX - 10, PX + 10)},
        {"BTC": BTC, "ETH": msgspec.structs.replace(BTC, coin="ETH", asset=1)},
        slippage=0.01,
    )
    assert [(o.coin, o.is_buy, o.lots) for o in orders] == [("BTC", False, 5), ("ETH", True, 7)]
    assert all(o.reduce_only and o.tif is Tif.IOC for o in orders)
    assert [o.px for o in orders] == [990_000, 1_010_010]
    assert len({o.cloid for o in orders}) == 2


@pytest.mark.parametrize("slippage", [0.0, 0.0005, 0.01, 0.05])
@pytest.mark.parametrize("px", [1_000, 12_340, 999_990, 1_234_560])
def test_a_taking_price_reaches_the_touch_and_never_gives_more_than_asked(px, slippage):
    touch = (px, px + BTC.tick_units_at(px))
    buy = taking_px(BTC, touch, is_buy=True, slippage=slippage)
    sell = taking_px(BTC, touch, is_buy=False, slippage=slippage)
    assert touch[1] <= buy <= touch[1] * (1 + slippage) + 1e-6
    assert touch[0] >= sell >= touch[0] * (1 - slippage) - 1e-6
    assert BTC.is_px_on_grid(buy) and BTC.is_px_on_grid(sell)
