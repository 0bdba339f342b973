"""The read-only picture of the engine that people look at: floats, texts, nothing that decides."""

from __future__ import annotations

import math

from core.engines.context import Context
from core.engines.decision import Decider
from core.engines.desk import Desk, wish_text
from core.model.account import OrderReport, OrderRow
from core.model.codes import OrderStatus, Purpose
from core.model.instrument import Instrument
from core.model.status import CoinStatus, SystemStatus

FOREIGN = "foreign"


def system_status(context: Context, decider: Decider) -> SystemStatus:
    """Return the whole system as it is at the last event."""
    facts, account, risk = context.facts, context.account.facts, context.risk
    equity = context.equity_micro()
    peak, anchor = risk.state.peak_micro, risk.state.day_anchor_micro
    return SystemStatus(
        mode=facts.mode,
        session=facts.session,
        account=context.account_address,
        seq=facts.seq,
        ts_ns=facts.now_ns,
        trading_state=facts.trading_state,
        state_reason=facts.state_reason,
        equity_micro=equity,
        cash_micro=context.account.balance_micro(),
        day_pnl_micro=equity - anchor if risk.state.day >= 0 else 0,
        realized_pnl_micro=account.realized_pnl_micro,
        fees_micro=account.fees_micro,
        funding_micro=account.funding_micro,
        drawdown=max(0.0, 1.0 - equity / peak) if peak > 0 else 0.0,
        drawdown_limit=context.trading.max_drawdown,
        exposure_gross_micro=context.exposure_gross_micro(),
        margin_used_micro=margin_used_micro(context),
        requests_used=facts.requests_used,
        requests_cap=facts.requests_cap,
        ip_weight_used=facts.ip_weight_used,
        ip_weight_cap=facts.ip_weight_cap,
        coins=tuple(coin_status(context, desk) for desk in context.desks.values()),
        orders=(
            *(order.row() for order in context.orders.facts.open.values()),
            *(foreign_row(report) for report in context.orders.facts.foreign.values()),
        ),
        fills=tuple(facts.recent_fills),
        strategies={name: facts.stopped.get(name, "running") for name in decider.strategies},
        refusals=dict(facts.refusals),
        quarantined_count=facts.quarantined_count,
    )


def coin_status(context: Context, desk: Desk) -> CoinStatus:
    """Return one coin's market, judgement and stake."""
    instrument = context.tokens.instruments.get(desk.coin)
    market, lots = context.market.coins[desk.coin], context.account.lots(desk.coin)
    px = market.value_px
    scale = instrument.px_scale if instrument is not None else 1
    return CoinStatus(
        coin=desk.coin,
        price=_price(market.mid_x2 / 2, instrument),
        mark_price=_price(market.mark_px, instrument),
        data_age_ns=context.facts.now_ns - market.touch_ns if market.touch_ns else -1,
        regime=desk.regime.regime,
        regime_confidence=desk.regime.confidence,
        strategy=desk.strategy,
        strategy_reason=desk.strategy_reason,
        wish=wish_text(desk, instrument),
        why_not=context.why_not(desk),
        position_coins=instrument.coins(lots) if instrument is not None else 0.0,
        position_notional_micro=lots * px,
        entry_price=context.account.entry_px(desk.coin) / scale,
        unrealized_pnl_micro=context.account.unrealized_micro(desk.coin, px),
        stop_price=_price(desk.stop_px, instrument),
        target_price=_price(desk.target_px, instrument),
        sz_decimals=instrument.sz_decimals if instrument is not None else 0,
    )


def margin_used_micro(context: Context) -> int:
    """Return the initial margin that open positions bind, at the leverage set."""
    total = 0
    for coin, position in context.account.positions.items():
        desk = context.desks.get(coin)
        leverage = desk.leverage_set if desk is not None and desk.leverage_set else 1
        total += abs(position.lots) * context.value_px(coin) // leverage
    return total


def foreign_row(report: OrderReport) -> OrderRow:
    """Show an order of the account that is not ours; it is counted, never touched."""
    return OrderRow(
        cloid=report.cloid or "",
        oid=report.oid,
        coin=report.coin,
        strategy=FOREIGN,
        purpose=Purpose.EXIT if report.reduce_only else Purpose.ENTRY,
        is_buy=report.is_buy,
        px=report.px,
        lots=report.lots_orig,
        lots_left=report.lots_left,
        reduce_only=report.reduce_only,
        trigger_px=report.trigger_px,
        status=OrderStatus.WORKING,
        sent_ns=report.ts_exch_ns,
        changed_ns=report.ts_exch_ns,
        detail="not ours",
    )


def _price(px: float, instrument: Instrument | None) -> float:
    return instrument.px_float(px) if instrument is not None and px else math.nan
