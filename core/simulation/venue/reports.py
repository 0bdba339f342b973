"""What an account looks like from outside: the venue's account state, derived from exact integers.

Reads the venue's state and changes nothing. The relations are those of recorded account states
(reference section 10.3).
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from core.model.account import PositionReport
from core.model.events import AccountReported
from core.simulation.venue.account import Account, Position
from core.simulation.venue.margin import (
    CrossMargin,
    cross_margin,
    isolated_margin_micro,
    liquidation_price,
    order_margin_micro,
    withdrawable_micro,
)
from core.simulation.venue.outputs import AccountSummary, ActiveAsset, MarginSummary, PositionRow
from core.simulation.venue.state import VenueState

_TEN_PLACES = Decimal("1e-10")


def account_summary(state: VenueState, account: Account) -> AccountSummary:
    """Return the venue's account state of one account."""
    cross = cross_margin(account, state.books)
    held = order_margin_micro(account)
    rows = tuple(_position_row(state, account, p, cross) for p in account.positions.values())
    isolated = [p for p in account.positions.values() if not p.is_cross]
    isolated_margin = sum(isolated_margin_micro(p, state.books[p.coin].mark_px) for p in isolated)
    return AccountSummary(
        total=MarginSummary(
            account_value_micro=cross.value_micro + isolated_margin,
            notional_micro=sum(row.value_micro for row in rows),
            raw_usd_micro=account.raw_usd_micro,
            margin_used_micro=sum(row.margin_used_micro for row in rows),
        ),
        cross=MarginSummary(
            account_value_micro=cross.value_micro,
            notional_micro=cross.notional_micro,
            raw_usd_micro=account.cash_micro,
            margin_used_micro=cross.initial_micro,
        ),
        cross_maintenance_micro=cross.maintenance_micro,
        order_margin_micro=held,
        withdrawable_micro=withdrawable_micro(cross, held),
        positions=rows,
        ts_ns=state.now_ns,
    )


def _position_row(
    state: VenueState, account: Account, position: Position, cross: CrossMargin
) -> PositionRow:
    """Derive one position's numbers at the current mark."""
    book = state.books[position.coin]
    instrument = book.instrument
    size = abs(position.lots)
    value = size * book.mark_px
    margin = (
        value // position.leverage
        if position.is_cross
        else isolated_margin_micro(position, book.mark_px)
    )
    unrealized = position.unrealized_micro(book.mark_px)
    price = _liquidation_price(state, position, cross)
    return PositionRow(
        coin=position.coin,
        position_lots=position.lots,
        leverage=position.leverage,
        leverage_max=instrument.leverage_max,
        is_cross=position.is_cross,
        raw_usd_micro=position.raw_usd_micro,
        entry_px=instrument.px_text(position.cost_micro // size),
        entry_notional_micro=position.cost_micro,
        value_micro=value,
        unrealized_pnl_micro=unrealized,
        return_on_equity=_ten_places(Fraction(unrealized * position.leverage, position.cost_micro)),
        liquidation_px=None if price is None else _ten_places(price),
        margin_used_micro=margin,
        funding_all_time_micro=account.funding_all_time.get(position.coin, 0),
        funding_since_open_micro=position.funding_since_open_micro,
        funding_since_change_micro=position.funding_since_change_micro,
    )


def _liquidation_price(
    state: VenueState, position: Position, cross: CrossMargin
) -> Fraction | None:
    """Return a position's liquidation price with all other marks as they are."""
    book = state.books[position.coin]
    if position.is_cross:
        own = book.table.maintenance_micro(abs(position.lots) * book.mark_px)
        margin, other = cross.value_micro, cross.maintenance_micro - own
    else:
        margin, other = isolated_margin_micro(position, book.mark_px), 0
    return liquidation_price(
        lots=position.lots,
        mark_px=book.mark_px,
        margin_micro=margin,
        maintenance_other_micro=other,
        table=book.table,
        px_scale=book.instrument.px_scale,
    )


def _ten_places(value: Fraction) -> str:
    """Write a ratio with at most ten decimals, rounded, without trailing zeros."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    text = f"{exact.quantize(_TEN_PLACES, rounding=ROUND_HALF_EVEN):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def account_report(state: VenueState, account: Account) -> AccountReported:
    """Return the account state as the engine's event, without ``seq``."""
    summary = account_summary(state, account)
    return AccountReported(
        ts_exch_ns=state.now_ns,
        account_value_micro=summary.total.account_value_micro,
        cash_micro=summary.total.raw_usd_micro,
        margin_used_micro=summary.total.margin_used_micro,
        withdrawable_micro=summary.withdrawable_micro,
        positions=tuple(
            PositionReport(
                coin=row.coin,
                position_lots=row.position_lots,
                entry_price=float(row.entry_px),
                leverage=row.leverage,
                is_cross=row.is_cross,
                margin_used_micro=row.margin_used_micro,
                liquidation_price=None if row.liquidation_px is None else float(row.liquidation_px),
            )
            for row in summary.positions
        ),
    )


def active_asset(state: VenueState, account: Account, coin: str) -> ActiveAsset:
    """Return a coin's leverage setting and what could be opened with it now."""
    setting = account.leverage[coin]
    cross = cross_margin(account, state.books)
    held = order_margin_micro(account)
    free = max(0, cross.value_micro - cross.initial_micro - held)
    mark_px = state.books[coin].mark_px
    lots = free * setting.leverage // mark_px if mark_px else 0
    position = account.positions.get(coin)
    return ActiveAsset(
        leverage=setting.leverage,
        is_cross=setting.is_cross,
        raw_usd_micro=0 if position is None else position.raw_usd_micro,
        trade_lots_max=(lots, lots),
        available_micro=(free, free),
        mark_px=mark_px,
    )
