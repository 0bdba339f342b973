"""Margin of resting orders, asked of every order anew: the slow twin of ``venue.resting``."""

from __future__ import annotations

from core.simulation.venue.account import Account
from core.simulation.venue.orders import Order, Stage


def order_margin_micro(account: Account, skipped: Order | None = None) -> int:
    """Limit price times size over leverage of what would open, the oldest orders closing first."""
    held = 0
    allowances: dict[str, int] = {}
    for order in account.orders.values():
        if order.reduce_only or order.stage is not Stage.RESTING or order is skipped:
            continue
        if order.coin not in account.leverage:
            continue
        lots = order.lots_left
        position = account.positions.get(order.coin)
        if position is not None and (position.lots > 0) is not order.is_buy:
            allowance = allowances.get(order.coin, abs(position.lots))
            closing = min(allowance, lots)
            allowances[order.coin] = allowance - closing
            lots -= closing
        if lots:
            held += order.px * lots // account.leverage[order.coin].leverage
    return held


def resting_lots(account: Account, coin: str, *, is_buy: bool) -> int:
    """Lots that rest on one side and may open."""
    return sum(
        order.lots_left
        for order in account.orders.values()
        if (order.coin, order.is_buy) == (coin, is_buy)
        and order.stage is Stage.RESTING
        and not order.reduce_only
    )
