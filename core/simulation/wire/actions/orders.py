"""Orders, cancels and modifies: from wire objects to requests, and the venue's statuses back.

Source: reference sections 7.1, 7.2, 7.5, 8.4 to 8.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.api.actions import (
    BatchModifyAction,
    Builder,
    CancelAction,
    CancelByCloidAction,
    ModifyAction,
    OrderAction,
    OrderWire,
    PriorityGroup,
)
from core.model.codes import Grouping, Tif, TriggerKind
from core.model.errors import GridError
from core.model.ids import is_address, is_cloid
from core.model.instrument import Instrument
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.outputs import AnswerKind, OrderAnswer, OrderRequest, TriggerRequest
from core.simulation.venue.records import BuilderFee
from core.simulation.wire.actions.base import (
    DEFAULT_OK,
    Acting,
    Assets,
    Body,
    Handler,
    InvalidFieldError,
    statuses,
)
from core.simulation.wire.requests import error_body
from core.simulation.wire.text import lots_text, with_point

PRIORITY_FEE_UNKNOWN = "Priority fee cannot be paid: no staked HYPE"
"""Our wording: nobody stakes here, and the fee is paid from staked HYPE."""
FAST_CANCEL_TRIGGER = "Fast cancel may not refer to trigger orders"
"""Our wording: the rule is documented, its text is not."""


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    desk = _OrderDesk(exchange)
    return {
        OrderAction: desk.place,
        CancelAction: desk.cancel,
        CancelByCloidAction: desk.cancel_by_cloid,
        ModifyAction: desk.modify,
        BatchModifyAction: desk.batch_modify,
    }


class _OrderDesk:
    """Carries out what has to do with orders."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._assets = Assets(exchange)

    def place(self, acting: Acting, action: OrderAction) -> Body:
        """Place a batch."""
        if isinstance(action.grouping, PriorityGroup):
            return error_body(PRIORITY_FEE_UNKNOWN)
        try:
            requests = [self._request(wire) for wire in action.orders]
        except InvalidFieldError as error:
            return statuses("order", [{"error": str(error)}])
        if action.builder is not None:
            fee = BuilderFee(action.builder.b, action.builder.f)
            text = self._builder_refusal(acting, action.builder, requests)
            if text is not None:
                return error_body(text)
            requests = [_with_builder(request, fee) for request in requests]
        answers = self._exchange.place(acting.owner, requests, Grouping(action.grouping))
        if len(answers) != len(action.orders):
            # One refusal for the whole batch.
            return statuses("order", [{"error": answer.text} for answer in answers])
        return statuses("order", self._statuses(action.orders, answers))

    def _builder_refusal(
        self, acting: Acting, builder: Builder, requests: Sequence[OrderRequest]
    ) -> str | None:
        if not is_address(builder.b):
            return texts.BUILDER_UNAPPROVED
        instruments = self._exchange.instruments
        is_spot = any(instruments[request.coin].is_spot for request in requests)
        fee = BuilderFee(builder.b, builder.f)
        return self._exchange.builders.refusal(acting.master, fee, is_spot=is_spot)

    def _statuses(self, wires: Sequence[OrderWire], answers: Sequence[OrderAnswer]) -> list[Any]:
        return [
            order_status(answer, self._instrument(wire.a))
            for wire, answer in zip(wires, answers, strict=True)
        ]

    def _instrument(self, asset: int) -> Instrument:
        instrument = self._assets.get(asset)
        if instrument is None:
            raise InvalidFieldError(f"{texts.ASSET_UNKNOWN} asset={asset}")
        return instrument

    def _request(self, wire: OrderWire) -> OrderRequest:
        instrument = self._instrument(wire.a)
        if wire.c is not None and not is_cloid(wire.c):
            raise InvalidFieldError("Invalid cloid")
        try:
            lots = instrument.lots_from_text(wire.s)
        except GridError:
            raise InvalidFieldError(texts.SIZE_INVALID) from None
        limit, trigger = wire.t.limit, wire.t.trigger
        is_market = limit is not None and limit.tif == "FrontendMarket"
        return OrderRequest(
            coin=instrument.coin,
            is_buy=wire.b,
            px=_px(instrument, wire.p),
            lots=lots,
            reduce_only=wire.r,
            tif=None if limit is None else (Tif.IOC if is_market else Tif(limit.tif)),
            trigger=None
            if trigger is None
            else TriggerRequest(
                trigger.is_market,
                _px(instrument, trigger.trigger_px),
                TriggerKind(trigger.tpsl),
            ),
            cloid=wire.c,
            is_market=is_market,
        )

    def cancel(self, acting: Acting, action: CancelAction) -> Body:
        """Cancel by the venue's ids."""
        rows: list[Any] = []
        for cancel in action.cancels:
            instrument = self._assets.get(cancel.a)
            if instrument is None:
                rows.append({"error": f"{texts.ASSET_UNKNOWN} asset={cancel.a}"})
            elif action.f and self._is_trigger(acting.owner, cancel.o):
                rows.append({"error": texts.with_asset(FAST_CANCEL_TRIGGER, instrument)})
            else:
                text = self._exchange.cancel(acting.owner, instrument.coin, cancel.o)
                rows.append(cancel_status(text))
        return statuses("cancel", rows)

    def _is_trigger(self, owner: str, oid_or_cloid: int | str) -> bool:
        known = self._exchange.order_status(owner, oid_or_cloid)
        return known is not None and known.order.is_trigger and not known.status.is_terminal

    def cancel_by_cloid(self, acting: Acting, action: CancelByCloidAction) -> Body:
        """Cancel by the client's ids."""
        rows: list[Any] = []
        for cancel in action.cancels:
            instrument = self._assets.get(cancel.asset)
            if instrument is None:
                rows.append({"error": f"{texts.ASSET_UNKNOWN} asset={cancel.asset}"})
            elif action.f and self._is_trigger(acting.owner, cancel.cloid):
                rows.append({"error": texts.with_asset(FAST_CANCEL_TRIGGER, instrument)})
            else:
                coin = instrument.coin
                text = self._exchange.cancel_by_cloid(acting.owner, coin, cancel.cloid)
                rows.append(cancel_status(text))
        return statuses("cancel", rows)

    def modify(self, acting: Acting, action: ModifyAction) -> Body:
        """Replace one order; the answer does not name the new id, errors refuse the action."""
        request = self._request(action.order)
        answer = self._exchange.modify(acting.owner, action.oid, request, self._always(action.a))
        return error_body(answer.text) if answer.kind is AnswerKind.ERROR else DEFAULT_OK

    def batch_modify(self, acting: Acting, action: BatchModifyAction) -> Body:
        """Replace several orders, one status each."""
        try:
            requests = [self._request(modify.order) for modify in action.modifies]
        except InvalidFieldError as error:
            return statuses("order", [{"error": str(error)}])
        always = self._always(action.a)
        rows: list[Any] = []
        for modify, request in zip(action.modifies, requests, strict=True):
            answer = self._exchange.modify(acting.owner, modify.oid, request, always)
            rows.append(order_status(answer, self._instrument(modify.order.a)))
        return statuses("order", rows)

    def _always(self, is_asked: bool) -> bool:
        """Tell whether a replacement may be any order, as it always could before mid-2026."""
        return is_asked or self._exchange.settings.modify_places_always


def cancel_status(text: str | None) -> Any:
    """Write the venue's status of one cancel."""
    return "success" if text is None else {"error": text}


def order_status(answer: OrderAnswer, instrument: Instrument) -> Any:
    """Write the venue's status of one order; waiting orders are bare words."""
    if answer.kind is AnswerKind.ERROR:
        return {"error": answer.text}
    if answer.kind in (AnswerKind.WAITING_FOR_FILL, AnswerKind.WAITING_FOR_TRIGGER):
        return answer.kind.value
    row: Body = {}
    if answer.kind is AnswerKind.FILLED:
        row = {
            "totalSz": lots_text(instrument, answer.lots),
            "avgPx": with_point(answer.avg_px),
        }
    row["oid"] = answer.oid
    if answer.cloid is not None:
        row["cloid"] = answer.cloid
    return {answer.kind.value: row}


def _px(instrument: Instrument, text: str) -> int:
    try:
        return instrument.px_from_text(text)
    except GridError:
        raise InvalidFieldError(texts.tick_invalid(instrument)) from None


def _with_builder(request: OrderRequest, fee: BuilderFee) -> OrderRequest:
    return msgspec.structs.replace(request, builder=fee)
