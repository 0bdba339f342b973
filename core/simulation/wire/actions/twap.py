"""TWAP orders on the wire. Source: reference sections 7.1, 7.4 and 8.8."""

from __future__ import annotations

from typing import Any

from core.api.actions import TwapCancelAction, TwapOrderAction
from core.model.errors import GridError
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.records import TwapRequest, VenueRefusal
from core.simulation.wire.actions.base import Acting, Assets, Body, Handler
from core.simulation.wire.requests import error_body

DETAILS_UNKNOWN = "TWAP start conditions and stop prices are not simulated by this venue."


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    assets = Assets(exchange)

    def place(acting: Acting, action: TwapOrderAction) -> Body:
        wire, details = action.twap, action.details
        if details is not None and (details.t is not None or details.s is not None):
            return error_body(DETAILS_UNKNOWN)
        instrument = assets.get(wire.a)
        if instrument is None:
            return _status("twapOrder", {"error": f"{texts.ASSET_UNKNOWN} asset={wire.a}"})
        try:
            lots = instrument.lots_from_text(wire.s)
        except GridError:
            return _status("twapOrder", {"error": texts.SIZE_INVALID})
        request = TwapRequest(
            coin=instrument.coin,
            is_buy=wire.b,
            lots=lots,
            reduce_only=wire.r,
            minutes=wire.m,
            is_randomized=wire.t,
        )
        result = exchange.twaps.place(acting.owner, request)
        if isinstance(result, VenueRefusal):
            return _status("twapOrder", {"error": result.text})
        return _status("twapOrder", {"running": {"twapId": result}})

    def cancel(acting: Acting, action: TwapCancelAction) -> Body:
        instrument = assets.get(action.a)
        coin = "" if instrument is None else instrument.coin
        text = exchange.twaps.cancel(acting.owner, coin, action.t)
        return _status("twapCancel", "success" if text is None else {"error": text})

    return {TwapOrderAction: place, TwapCancelAction: cancel}


def _status(kind: str, status: Any) -> Body:
    return {"status": "ok", "response": {"type": kind, "data": {"status": status}}}
