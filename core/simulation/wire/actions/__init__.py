"""What each action of ``/exchange`` does, one file a topic; `handlers` puts them into one table."""

from __future__ import annotations

from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions import (
    builders_and_referrals,
    family,
    keys,
    modes,
    orders,
    settings,
    transfers,
    twap,
)
from core.simulation.wire.actions.base import Handler, own_only


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handler of every action that is carried out here.

    One may trade for a sub-account or a vault; money and rights are one's own account's only.
    """
    table: dict[type, Handler] = {}
    for room in (orders, settings, twap):
        table |= room.handlers(exchange)
    for own_room in (transfers, family, keys, builders_and_referrals, modes):
        table |= {kind: own_only(handler) for kind, handler in own_room.handlers(exchange).items()}
    return table
