"""Answers to actions: what the venue said to each command of a batch, as events.

The venue answers twice: to the action as a whole (``status``), and inside an accepted one to each
item. An accepted batch may consist of nothing but errors, one error may stand for a whole batch,
and no answer at all is not a no. This module turns all of that into one or more events per command;
it sends nothing.

Source: venue documentation (exchange endpoint, error responses) and recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from core.api.number_text import units
from core.api.venue_words import OLD_ORDER_GONE_TEXT, rejection_code
from core.api.wire import (
    ExchangeAnswerBody,
    ExchangeResponse,
    FilledStatus,
    OrderStatusRow,
    StatusesData,
    StatusRow,
)
from core.model.codes import OrderStatus, RejectionCode, Tif
from core.model.commands import CancelOrder, Command, ModifyOrder, PlaceOrder, SetLeverage
from core.model.errors import GridError
from core.model.events import (
    CancelRejected,
    Event,
    LeverageChanged,
    LeverageRejected,
    LeverageUnanswered,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
)
from core.model.instrument import Instrument

SUCCESS = "success"
DUPLICATE_NONCE_TEXT = "duplicate nonce"
TEXT_LENGTH_MAX = 500


class Accepted(msgspec.Struct, frozen=True):
    """The venue took the action; ``rows`` are its answers to the items, if it gave any."""

    kind: str
    rows: tuple[OrderStatusRow, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The venue's definite no to the whole action."""

    text: str


class Unanswered(msgspec.Struct, frozen=True):
    """No usable answer came; the action may or may not have been executed."""

    reason: str
    is_rate_limited: bool = False


ExchangeAnswer = Accepted | Refused | Unanswered

_body_decoder = msgspec.json.Decoder(ExchangeAnswerBody)
_response_decoder = msgspec.json.Decoder(ExchangeResponse)


def parse_answer(raw: bytes) -> ExchangeAnswer:
    """Read the body of an HTTP 200 answer to an action.

    A body that cannot be read leaves the outcome unknown: the action had been delivered.
    """
    try:
        body = _body_decoder.decode(raw)
        if body.status == "err":
            return _refusal(str(msgspec.json.decode(body.response))[:TEXT_LENGTH_MAX])
        if body.status != "ok":
            return Unanswered(f"answer has the unknown status {body.status!r}")
        response = _response_decoder.decode(body.response)
        if not isinstance(response.data, dict):
            return Accepted(response.type)
        if "statuses" in response.data:
            rows = msgspec.convert(response.data, StatusesData).statuses
        else:
            status = response.data.get("status")
            rows = [msgspec.convert(status, OrderStatusRow)] if status is not None else []
        return Accepted(response.type, tuple(rows))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        shown = raw[:120].decode(errors="replace")
        return Unanswered(f"answer could not be read ({error}): {shown!r}")


def _refusal(text: str) -> Refused | Unanswered:
    """Take an error of the whole action as a no, but for the one that does not say no.

    A nonce that is not new was used by an action that arrived before: perhaps by this very one,
    if something on the way delivered it twice.
    """
    if DUPLICATE_NONCE_TEXT in text.lower():
        return Unanswered(text)
    return Refused(text)


def rows_for(answer: Accepted, count: int) -> tuple[OrderStatusRow, ...] | None:
    """Return one row per item of the request.

    One row for several items is the venue's single pre-validation error for a whole batch and is
    copied; any other difference in number returns ``None``: nobody knows which answer is whose.
    """
    rows = answer.rows
    if len(rows) == count:
        return rows
    if len(rows) == 1 and _error_of(rows[0]) is not None:
        return rows * count
    return None


def _error_of(row: OrderStatusRow) -> str | None:
    return row.error if isinstance(row, StatusRow) else None


def events_of_group(
    commands: Sequence[Command], answer: ExchangeAnswer, instruments: Mapping[str, Instrument]
) -> list[Event]:
    """Return the events that follow for every command of one action.

    Parameters
    ----------
    commands : sequence
        The items of the action, in the order of the request.
    instruments : mapping
        Grid of each coin, to read filled sizes.
    """
    if isinstance(answer, Unanswered):
        return [unanswered_event(command, answer.reason) for command in commands]
    if isinstance(answer, Refused):
        return [refused_event(command, answer.text) for command in commands]
    if all(isinstance(command, SetLeverage) for command in commands):
        return [_leverage_event(c) for c in commands if isinstance(c, SetLeverage)]
    rows = rows_for(answer, len(commands))
    if rows is None:
        reason = f"venue gave {len(answer.rows)} answers to {len(commands)} items"
        return [unanswered_event(command, reason) for command in commands]
    events: list[Event] = []
    for command, row in zip(commands, rows, strict=True):
        events += _row_events(command, row, instruments)
    return events


def unanswered_event(command: Command, reason: str) -> Event:
    """Return the event that says: sent, outcome unknown."""
    if isinstance(command, SetLeverage):
        return LeverageUnanswered(coin=command.coin, reason=reason)
    coin, cloid = _subject(command)
    return OrderUnanswered(coin=coin, cloid=cloid, reason=reason)


def refused_event(command: Command, text: str, *, code: RejectionCode | None = None) -> Event:
    """Return the event that says: definitely not done.

    Parameters
    ----------
    text : str
        The venue's words, or ours for a command that was never sent.
    code : RejectionCode, optional
        Overrides what the text is classified as.
    """
    if isinstance(command, SetLeverage):
        return LeverageRejected(coin=command.coin, venue_text=text)
    coin, cloid = _subject(command)
    code = code or rejection_code(text)
    if isinstance(command, CancelOrder):
        return CancelRejected(coin=coin, cloid=cloid, code=code, venue_text=text)
    return OrderRejected(coin=coin, cloid=cloid, code=code, venue_text=text)


def _subject(command: Command) -> tuple[str, str]:
    """Return the coin and cloid that a command's answer speaks of."""
    if isinstance(command, ModifyOrder):
        return command.order.coin, command.order.cloid
    assert isinstance(command, PlaceOrder | CancelOrder), (
        f"invariant: only actions are answered by the exchange, was {type(command).__name__}"
    )
    return command.coin, command.cloid


def _leverage_event(command: SetLeverage) -> Event:
    return LeverageChanged(coin=command.coin, leverage=command.leverage, is_cross=command.is_cross)


def _row_events(
    command: Command, row: OrderStatusRow, instruments: Mapping[str, Instrument]
) -> list[Event]:
    error = _error_of(row)
    if isinstance(command, CancelOrder):
        if error is not None:
            return [refused_event(command, error)]
        if row != SUCCESS:
            return [unanswered_event(command, f"venue answered {row!r}")]
        return [
            OrderUpdated(
                coin=command.coin,
                oid=command.oid,
                cloid=command.cloid,
                status=OrderStatus.CANCELLED,
                venue_status="canceled",
            )
        ]
    if isinstance(command, ModifyOrder):
        return _modify_events(command, row, error, instruments)
    assert isinstance(command, PlaceOrder), f"invariant: was {type(command).__name__}"
    if error is not None:
        return [refused_event(command, error)]
    return [_placed_event(command, row, instruments)]


def _modify_events(
    command: ModifyOrder,
    row: OrderStatusRow,
    error: str | None,
    instruments: Mapping[str, Instrument],
) -> list[Event]:
    """A modify replaces: the old order ends unless both carry the same cloid."""
    is_renamed = command.cloid != command.order.cloid
    old_ended = OrderUpdated(
        coin=command.order.coin,
        oid=command.oid,
        cloid=command.cloid,
        status=OrderStatus.CANCELLED,
        venue_status="modified",
    )
    if error is not None:
        refusal = refused_event(command, error)
        is_old_gone = is_renamed and OLD_ORDER_GONE_TEXT.lower() in error.lower()
        return [old_ended, refusal] if is_old_gone else [refusal]
    placed = _placed_event(command.order, row, instruments)
    return [old_ended, placed] if is_renamed else [placed]


def _placed_event(
    command: PlaceOrder, row: OrderStatusRow, instruments: Mapping[str, Instrument]
) -> Event:
    """Return what an accepted order became."""
    oid, status, lots_left, word = 0, OrderStatus.WORKING, -1, ""
    if isinstance(row, str):
        # waitingForFill, waitingForTrigger: accepted, but the answer carries no oid.
        word = row
    elif row.resting is not None:
        # May have traded in part already; the fills say so.
        oid, word = row.resting.oid, "resting"
    elif row.filled is not None:
        oid, word = row.filled.oid, "filled"
        lots_left = _lots_left(command, row.filled, instruments)
        if lots_left <= 0:
            status = OrderStatus.FILLED
        elif command.tif is Tif.IOC or command.reduce_only:
            # An IOC that traded in part, or a reduce-only order that was capped, is over as well.
            status = OrderStatus.CANCELLED
        # Of any other order the rest may be on the book; whoever lists the open orders sees it.
    else:
        return unanswered_event(command, f"venue answered {row!r}")
    return OrderUpdated(
        coin=command.coin,
        oid=oid,
        cloid=command.cloid,
        status=status,
        is_buy=command.is_buy,
        px=command.px,
        lots_orig=command.lots,
        lots_left=lots_left,
        venue_status=word,
    )


def _lots_left(
    command: PlaceOrder, filled: FilledStatus, instruments: Mapping[str, Instrument]
) -> int:
    instrument = instruments[command.coin]
    try:
        return max(0, command.lots - units(filled.total_sz, instrument.sz_decimals))
    except GridError:
        # Unknown; the size only tells how it ended, what was traded comes as fills.
        return -1
