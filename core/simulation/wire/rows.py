"""The venue's rows: what an order, a fill, a position or a candle looks like in JSON.

Each function turns integers of the venue core into one mapping with the venue's keys in the order
of its recordings. Sources: reference sections 10 and 11, recorded answers. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.model.instrument import Instrument, decimal_text
from core.model.market import Candle
from core.simulation.market.candles import bar_span
from core.simulation.venue.account import REFERRAL_PERCENT
from core.simulation.venue.outputs import (
    AccountSummary,
    ActiveAsset,
    AgentRow,
    FeeRates,
    FillOutput,
    FundingOutput,
    LiquidationOutput,
    MarginSummary,
    OrderSnapshot,
    OrderState,
    PositionRow,
    TradeOutput,
)
from core.simulation.venue.records import SpotBalance, Token
from core.simulation.venue.settings import FeeTier
from core.simulation.wire.text import (
    lots_text,
    ms,
    percent_text,
    px_text,
    rate_e8_text,
    rate_e10_text,
    usd_text,
    with_point,
)

Row = dict[str, Any]
Instruments = Mapping[str, Instrument]


def side_text(is_buy: bool) -> str:
    """``B`` bought or bid, ``A`` sold or ask."""
    return "B" if is_buy else "A"


def order_row(order: OrderSnapshot, instrument: Instrument) -> Row:
    """Return the short form of an order (``orderUpdates``)."""
    row = {
        "coin": order.coin,
        "side": side_text(order.is_buy),
        "limitPx": px_text(instrument, order.px),
        "sz": lots_text(instrument, order.lots_left),
        "oid": order.oid,
        "timestamp": ms(order.placed_ns),
        "origSz": lots_text(instrument, order.lots_orig),
    }
    if order.cloid is not None:
        row["cloid"] = order.cloid
    return row


def open_order_row(order: OrderSnapshot, instrument: Instrument) -> Row:
    """Return a row of ``openOrders``; ``reduceOnly`` appears only when true."""
    row = order_row(order, instrument)
    if order.reduce_only:
        row["reduceOnly"] = True
    return row


def frontend_row(order: OrderSnapshot, instrument: Instrument) -> Row:
    """Return the long form of an order (``frontendOpenOrders``, ``orderStatus``)."""
    return {
        "coin": order.coin,
        "side": side_text(order.is_buy),
        "limitPx": px_text(instrument, order.px),
        "sz": lots_text(instrument, order.lots_left),
        "oid": order.oid,
        "timestamp": ms(order.placed_ns),
        "triggerCondition": order.trigger_condition,
        "isTrigger": order.is_trigger,
        "triggerPx": px_text(instrument, order.trigger_px),
        "children": [frontend_row(child, instrument) for child in order.children],
        "isPositionTpsl": order.is_position_tpsl,
        "reduceOnly": order.reduce_only,
        "orderType": order.order_type,
        "origSz": lots_text(instrument, order.lots_orig),
        "tif": order.tif,
        "cloid": order.cloid,
    }


def order_state_row(state: OrderState, instrument: Instrument) -> Row:
    """Return a row of ``historicalOrders``, also the inner part of ``orderStatus``."""
    return {
        "order": frontend_row(state.order, instrument),
        "status": state.status.value,
        "statusTimestamp": ms(state.status_ns),
    }


def fill_row(output: FillOutput, instrument: Instrument) -> Row:
    """Return a row of ``userFills``; ``closedPnl`` is gross of fees, ``crossed`` means taker.

    On spot, fee and starting balance are finer than micro-USDC and lots.
    """
    fill = output.fill
    fee, start = usd_text(fill.fee_micro), lots_text(instrument, fill.start_position_lots)
    if output.fee_wei is not None and output.start_wei is not None:
        fee = with_point(decimal_text(output.fee_wei, output.fee_decimals))
        start = with_point(decimal_text(output.start_wei, output.start_decimals))
    row: Row = {
        "coin": fill.coin,
        "px": px_text(instrument, fill.px),
        "sz": lots_text(instrument, fill.lots),
        "side": side_text(fill.is_buy),
        "time": ms(fill.ts_exch_ns),
        "startPosition": start,
        "dir": output.direction,
        "closedPnl": usd_text(fill.closed_pnl_micro),
        "hash": output.hash,
        "oid": fill.oid,
        "crossed": not fill.is_maker,
        "fee": fee,
    }
    if output.builder_fee_micro:
        row["builderFee"] = usd_text(output.builder_fee_micro)
    row["tid"] = fill.tid
    if fill.cloid is not None:
        row["cloid"] = fill.cloid
    mark = output.liquidation
    if mark is not None:
        row["liquidation"] = {
            "liquidatedUser": mark.liquidated_user,
            "markPx": px_text(instrument, mark.mark_px),
            "method": mark.method,
        }
    row["feeToken"] = output.fee_token
    row["twapId"] = output.twap_id
    return row


def funding_fields(output: FundingOutput, instrument: Instrument) -> Row:
    """Return what both forms of a funding payment share."""
    return {
        "coin": output.coin,
        "usdc": usd_text(output.funding_micro),
        "szi": lots_text(instrument, output.position_lots),
        "fundingRate": rate_e10_text(output.rate_e10),
        "nSamples": None,
    }


def funding_stream_row(output: FundingOutput, instrument: Instrument) -> Row:
    """Return a funding payment as the streams carry it."""
    return {"time": ms(output.ts_ns), **funding_fields(output, instrument)}


def funding_row(output: FundingOutput, instrument: Instrument) -> Row:
    """Return a row of ``userFunding``."""
    delta = {"type": "funding", **funding_fields(output, instrument)}
    return {"time": ms(output.ts_ns), "hash": output.hash, "delta": delta}


def liquidation_ledger_row(output: LiquidationOutput, instruments: Instruments) -> Row:
    """Return the ledger row of a liquidation."""
    delta = {
        "type": "liquidation",
        "liquidatedNtlPos": usd_text(output.liquidated_notional_micro),
        "accountValue": usd_text(output.account_value_micro),
        "leverageType": "Cross" if output.is_cross else "Isolated",
        "liquidatedPositions": [
            {"coin": coin, "szi": lots_text(instruments[coin], lots)}
            for coin, lots in output.positions
        ],
    }
    return {"time": ms(output.ts_ns), "hash": output.hash, "delta": delta}


def liquidation_event(output: LiquidationOutput, liquidator: str, lid: int) -> Row:
    """Return the ``liquidation`` form of ``userEvents``."""
    return {
        "liquidation": {
            "lid": lid,
            "liquidator": liquidator,
            "liquidated_user": output.owner,
            "liquidated_ntl_pos": usd_text(output.liquidated_notional_micro),
            "liquidated_account_value": usd_text(output.account_value_micro),
        }
    }


def trade_row(output: TradeOutput, instrument: Instrument) -> Row:
    """Return a public trade."""
    return {
        "coin": output.coin,
        "side": side_text(output.is_buy),
        "px": px_text(instrument, output.px),
        "sz": lots_text(instrument, output.lots),
        "time": ms(output.ts_ns),
        "hash": output.hash,
        "tid": output.tid,
        "users": list(output.users),
    }


def candle_row(
    candle: Candle,
    *,
    coin: str,
    interval: str,
    interval_ns: int,
    instrument: Instrument,
    count: int,
) -> Row:
    """Return a candle; ``n`` counts its prints where the venue knows them."""
    _, next_ns = bar_span(candle.open_ns, interval_ns)
    return {
        "t": ms(candle.open_ns),
        "T": ms(next_ns) - 1,
        "s": coin,
        "i": interval,
        "o": px_text(instrument, candle.open_px),
        "c": px_text(instrument, candle.close_px),
        "h": px_text(instrument, candle.high_px),
        "l": px_text(instrument, candle.low_px),
        "v": lots_text(instrument, candle.volume_lots),
        "n": count,
    }


CountedLevel = tuple[int, int, int]
"""Price units, lots, number of orders."""


def level_row(level: CountedLevel, instrument: Instrument) -> Row:
    """Return a book level."""
    px, lots, count = level
    return {"px": px_text(instrument, px), "sz": lots_text(instrument, lots), "n": count}


def _summary_row(summary: MarginSummary) -> Row:
    return {
        "accountValue": usd_text(summary.account_value_micro),
        "totalNtlPos": usd_text(summary.notional_micro),
        "totalRawUsd": usd_text(summary.raw_usd_micro),
        "totalMarginUsed": usd_text(summary.margin_used_micro),
    }


def _leverage_row(leverage: int, is_cross: bool, raw_usd_micro: int) -> Row:
    row: Row = {"type": "cross" if is_cross else "isolated", "value": leverage}
    if not is_cross:
        row["rawUsd"] = usd_text(raw_usd_micro)
    return row


def _position_row(position: PositionRow, instrument: Instrument) -> Row:
    liquidation_px = position.liquidation_px
    return {
        "type": "oneWay",
        "position": {
            "coin": position.coin,
            "szi": lots_text(instrument, position.position_lots),
            "leverage": _leverage_row(position.leverage, position.is_cross, position.raw_usd_micro),
            "entryPx": with_point(position.entry_px),
            "positionValue": usd_text(position.value_micro),
            "unrealizedPnl": usd_text(position.unrealized_pnl_micro),
            "returnOnEquity": with_point(position.return_on_equity),
            "liquidationPx": None if liquidation_px is None else with_point(liquidation_px),
            "marginUsed": usd_text(position.margin_used_micro),
            "maxLeverage": position.leverage_max,
            "cumFunding": {
                "allTime": usd_text(position.funding_all_time_micro),
                "sinceOpen": usd_text(position.funding_since_open_micro),
                "sinceChange": usd_text(position.funding_since_change_micro),
            },
        },
    }


def account_row(summary: AccountSummary, instruments: Instruments, now_ns: int) -> Row:
    """Return ``clearinghouseState``."""
    return {
        "marginSummary": _summary_row(summary.total),
        "crossMarginSummary": _summary_row(summary.cross),
        "crossMaintenanceMarginUsed": usd_text(summary.cross_maintenance_micro),
        "withdrawable": usd_text(summary.withdrawable_micro),
        "assetPositions": [
            _position_row(position, instruments[position.coin]) for position in summary.positions
        ],
        "time": ms(now_ns),
    }


def spot_balance_row(balance: SpotBalance, token: Token) -> Row:
    """Return a row of ``spotClearinghouseState``."""
    return {
        "coin": token.name,
        "token": token.index,
        "total": with_point(decimal_text(balance.total_wei, token.wei_decimals)),
        "hold": with_point(decimal_text(balance.hold_wei, token.wei_decimals)),
        "entryNtl": usd_text(balance.entry_micro),
    }


def active_asset_row(active: ActiveAsset, *, user: str, instrument: Instrument) -> Row:
    """Return ``activeAssetData``; pairs are (buy, sell)."""
    return {
        "user": user,
        "coin": instrument.coin,
        "leverage": _leverage_row(active.leverage, active.is_cross, active.raw_usd_micro),
        "maxTradeSzs": [lots_text(instrument, lots) for lots in active.trade_lots_max],
        "availableToTrade": [usd_text(micro) for micro in active.available_micro],
        "markPx": px_text(instrument, active.mark_px),
    }


def agent_row(agent: AgentRow) -> Row:
    """Return a row of ``extraAgents``."""
    return {"name": agent.name, "address": agent.address, "validUntil": ms(agent.valid_until_ns)}


def tier_row(tier: FeeTier) -> Row:
    """Return a tier of the fee schedule."""
    return {
        "ntlCutoff": usd_text(tier.volume_micro_min),
        "cross": rate_e8_text(tier.taker_rate_e8),
        "add": rate_e8_text(tier.maker_rate_e8),
        "spotCross": rate_e8_text(tier.spot_taker_rate_e8),
        "spotAdd": rate_e8_text(tier.spot_maker_rate_e8),
    }


MAKER_TIERS = (("0.005", -1_000), ("0.015", -2_000), ("0.03", -3_000))
"""Share of the venue's maker volume and the rate from there on (venue documentation, Fees)."""
STAKING_TIERS = (
    ("0.0", 0),
    ("0.0001", 5),
    ("0.001", 10),
    ("0.01", 15),
    ("0.1", 20),
    ("1.0", 30),
    ("5.0", 40),
)
"""Staked basis points of HYPE's supply and the discount in per cent (venue documentation, Fees)."""


def fees_row(
    rates: FeeRates, tiers: Sequence[FeeTier], days: Sequence[tuple[str, int, int, int]]
) -> Row:
    """Return ``userFees``; staking and trial parts are those of a plain account.

    Parameters
    ----------
    days : sequence of (str, int, int, int)
        Date, the account's taker and maker volume and the venue's, in micro-USDC, oldest first.
    """
    rows = [tier_row(tier) for tier in tiers]
    base = {name: text for name, text in rows[0].items() if name != "ntlCutoff"}
    return {
        "dailyUserVlm": [
            {
                "date": date,
                "userCross": usd_text(taker),
                "userAdd": usd_text(maker),
                "exchange": usd_text(everybody),
            }
            for date, taker, maker, everybody in days
        ],
        "feeSchedule": {
            **base,
            "tiers": {
                "vip": rows[1:],
                "mm": [
                    {"makerFractionCutoff": share, "add": rate_e8_text(rate)}
                    for share, rate in MAKER_TIERS
                ],
            },
            "referralDiscount": percent_text(REFERRAL_PERCENT),
            "stakingDiscountTiers": [
                {"bpsOfMaxSupply": staked, "discount": percent_text(percent)}
                for staked, percent in STAKING_TIERS
            ],
        },
        "userCrossRate": rate_e8_text(rates.taker_rate_e8),
        "userAddRate": rate_e8_text(rates.maker_rate_e8),
        "userSpotCrossRate": rate_e8_text(rates.spot_taker_rate_e8),
        "userSpotAddRate": rate_e8_text(rates.spot_maker_rate_e8),
        "activeReferralDiscount": percent_text(REFERRAL_PERCENT if rates.is_referred else 0),
        "trial": None,
        "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": None,
    }
