"""What an account sets besides orders: leverage, isolated margin, dead-man switch, requests.

Source: reference sections 7.4, 8.9, 8.10 and 12.2.
"""

from __future__ import annotations

from core.api.actions import (
    EvmUserModifyAction,
    NoopAction,
    ReserveRequestWeightAction,
    ScheduleCancelAction,
    SpotUserAction,
    TopUpIsolatedOnlyMarginAction,
    UpdateIsolatedMarginAction,
    UpdateLeverageAction,
)
from core.model.time import NS_PER_MS
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions.base import (
    DEFAULT_OK,
    Acting,
    Assets,
    Body,
    Handler,
    address,
    default,
)


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    assets = Assets(exchange)

    def leverage(acting: Acting, action: UpdateLeverageAction) -> Body:
        coin = assets.coin(action.asset)
        return default(
            exchange.update_leverage(acting.owner, coin, action.leverage, action.is_cross)
        )

    def margin(acting: Acting, action: UpdateIsolatedMarginAction) -> Body:
        coin = assets.coin(action.asset)
        return default(exchange.update_isolated_margin(acting.owner, coin, action.ntli))

    def top_up(acting: Acting, action: TopUpIsolatedOnlyMarginAction) -> Body:
        coin = assets.coin(action.asset)
        return default(exchange.top_up_isolated(acting.owner, coin, action.leverage))

    def schedule(acting: Acting, action: ScheduleCancelAction) -> Body:
        time_ns = None if action.time is None else action.time * NS_PER_MS
        return default(exchange.schedule_cancel(acting.owner, time_ns))

    def reserve(acting: Acting, action: ReserveRequestWeightAction) -> Body:
        destination = address(action.destination) if action.destination else ""
        return default(exchange.reserve_requests(acting.owner, action.weight, destination))

    def nothing(acting: Acting, action: object) -> Body:
        """Accept what has no effect on trading: a burnt nonce, block sizes, dust."""
        return DEFAULT_OK

    return {
        UpdateLeverageAction: leverage,
        UpdateIsolatedMarginAction: margin,
        TopUpIsolatedOnlyMarginAction: top_up,
        ScheduleCancelAction: schedule,
        ReserveRequestWeightAction: reserve,
        NoopAction: nothing,
        EvmUserModifyAction: nothing,
        SpotUserAction: nothing,
    }
