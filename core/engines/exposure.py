"""What could come out in each coin: positions and every order that may still add to them.

The worst case is what limits are counted against. Knows no limits.
"""

from __future__ import annotations

from core.engines.context import Context
from core.engines.risk_management import CoinExposure


def exposure_of(context: Context, coin: str) -> CoinExposure:
    """Return one coin's stake: orders that are not reduce-only count fully, foreign ones too."""
    buy_lots = sell_lots = 0
    for order in context.orders.of(coin):
        if order.reduce_only:
            continue
        if order.is_buy:
            buy_lots += order.lots_left
        else:
            sell_lots += order.lots_left
    for report in context.orders.facts.foreign.values():
        if report.coin != coin or report.reduce_only:
            continue
        if report.is_buy:
            buy_lots += report.lots_left
        else:
            sell_lots += report.lots_left
    desk, position = context.desks.get(coin), context.account.positions.get(coin)
    px = context.value_px(coin)
    if not px and position is not None:
        px = abs(position.cost_micro // position.lots)
    return CoinExposure(
        coin=coin,
        value_px=px,
        position_lots=position.lots if position is not None else 0,
        buy_lots=buy_lots,
        sell_lots=sell_lots,
        leverage=desk.leverage_set if desk is not None and desk.leverage_set else 1,
    )


def exposures(context: Context) -> list[CoinExposure]:
    """Return the stakes of all coins with a position or an open order, by name."""
    coins = {*context.account.positions, *context.orders.open_by_coin}
    coins.update(report.coin for report in context.orders.facts.foreign.values())
    return [exposure_of(context, coin) for coin in sorted(coins)]
