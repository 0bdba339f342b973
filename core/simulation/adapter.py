"""The bridge between the venue and the engine when both run in one process.

Backtest and paper sessions send model commands here and get model events back, exactly those that
the wire client would decode from the venue's answers and streams. The engine trades perpetuals:
an account's spot orders, fills and token transfers stay here, as the wire client sets them aside.
No time passes here: latency belongs to the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.api import venue_words
from core.model.account import OrderReport
from core.model.codes import OrderStatus, Tif
from core.model.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
    SetLeverage,
)
from core.model.events import (
    CancelRejected,
    Event,
    FundingPaid,
    LedgerMoved,
    LeverageChanged,
    LeverageRejected,
    OpenOrdersReported,
    OrderFilled,
    OrderMissing,
    OrderRejected,
    OrderUpdated,
)
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.outputs import (
    AnswerKind,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    OrderAnswer,
    OrderOutput,
    OrderRequest,
    OrderSnapshot,
    TriggerRequest,
    VenueOutput,
    VenueStatus,
)
from core.simulation.venue.premium import RATE_E10
from core.simulation.venue.spot import is_spot_coin


def order_status(status: VenueStatus) -> OrderStatus:
    """Translate the venue's status as the wire client does."""
    translated = venue_words.order_status(status.value)
    assert translated is not None, f"invariant: the client knows the venue's word {status.value}"
    return translated


def to_events(outputs: Iterable[VenueOutput], owner: str) -> list[Event]:
    """Translate what happened at the venue into one account's events, in order.

    Public prints, other accounts' outputs and all of spot are left out; liquidations arrive as
    their fills and ledger rows.
    """
    events: list[Event] = []
    for output in outputs:
        if isinstance(output, FillOutput) and output.owner == owner:
            if not is_spot_coin(output.fill.coin):
                events.append(OrderFilled(ts_exch_ns=output.fill.ts_exch_ns, fill=output.fill))
        elif isinstance(output, OrderOutput) and output.owner == owner:
            if not is_spot_coin(output.order.coin):
                events.append(_order_updated(output.order, output.status, output.status_ns))
        elif isinstance(output, FundingOutput) and output.owner == owner:
            events.append(
                FundingPaid(
                    ts_exch_ns=output.ts_ns,
                    coin=output.coin,
                    funding_micro=output.funding_micro,
                    position_lots=output.position_lots,
                    rate_1h=output.rate_e10 / RATE_E10,
                )
            )
        elif isinstance(output, LedgerOutput) and output.owner == owner and output.amount_micro:
            events.append(
                LedgerMoved(
                    ts_exch_ns=output.ts_ns,
                    kind=output.kind,
                    amount_micro=output.amount_micro,
                    hash=output.hash,
                )
            )
    return events


def execute_command(
    exchange: SimulatedExchange, owner: str, command: Command, now_ns: int
) -> list[Event]:
    """Run one command at ``now_ns`` and return the answer events.

    Fills and status changes that follow are outputs of the venue: fetch them with
    `SimulatedExchange.drain` and `to_events`.
    """
    exchange.advance(now_ns)
    match command:
        case PlaceOrder():
            (answer,) = exchange.place(owner, (order_request(command),))
            return [_answer_event(exchange, command, answer)]
        case CancelOrder():
            return [_cancel(exchange, owner, command)]
        case ModifyOrder():
            return _modify(exchange, owner, command)
        case SetLeverage():
            return [_set_leverage(exchange, owner, command)]
        case LookUpOrder():
            return [_look_up(exchange, owner, command)]
        case ReportAccount():
            return _report(exchange, owner, command)


def order_request(command: PlaceOrder) -> OrderRequest:
    """Word a command as the venue's request; a trigger wakes as a market order."""
    trigger = None
    if command.trigger is not None:
        trigger = TriggerRequest(
            is_market=True, trigger_px=command.trigger.trigger_px, kind=command.trigger.kind
        )
    return OrderRequest(
        coin=command.coin,
        is_buy=command.is_buy,
        px=command.px,
        lots=command.lots,
        reduce_only=command.reduce_only,
        tif=None if trigger is not None else command.tif,
        trigger=trigger,
        cloid=command.cloid,
    )


def _modify(exchange: SimulatedExchange, owner: str, command: ModifyOrder) -> list[Event]:
    """Replace an order; the old one ends in the answer unless both carry the same cloid."""
    order = command.order
    always = order.trigger is not None or order.tif is Tif.IOC
    target = command.oid or command.cloid
    answer = exchange.modify(owner, target, order_request(order), always_place=always)
    event = _answer_event(exchange, order, answer)
    is_old_gone = answer.kind is not AnswerKind.ERROR or texts.MODIFY_FAILED in answer.text
    if command.cloid == order.cloid or not is_old_gone:
        return [event]
    ended = OrderUpdated(
        ts_exch_ns=exchange.now_ns,
        coin=order.coin,
        oid=command.oid,
        cloid=command.cloid,
        status=OrderStatus.CANCELLED,
        venue_status="modified",
    )
    return [ended, event]


def _answer_event(
    exchange: SimulatedExchange, command: PlaceOrder, answer: OrderAnswer
) -> OrderUpdated | OrderRejected:
    """Turn the venue's answer to one order into the engine's event."""
    if answer.kind is AnswerKind.ERROR:
        return OrderRejected(
            ts_exch_ns=exchange.now_ns,
            coin=command.coin,
            cloid=command.cloid,
            code=venue_words.rejection_code(answer.text),
            venue_text=answer.text,
        )
    status, lots_left = OrderStatus.WORKING, -1
    if answer.kind is AnswerKind.FILLED:
        # An IOC that traded in part, or a reduce-only order that was capped, is over as well.
        lots_left = max(0, command.lots - answer.lots)
        status = OrderStatus.CANCELLED if lots_left else OrderStatus.FILLED
    return OrderUpdated(
        ts_exch_ns=exchange.now_ns,
        coin=command.coin,
        oid=answer.oid,
        cloid=command.cloid,
        status=status,
        is_buy=command.is_buy,
        px=command.px,
        lots_orig=command.lots,
        lots_left=lots_left,
        venue_status=answer.kind.value,
    )


def _cancel(
    exchange: SimulatedExchange, owner: str, command: CancelOrder
) -> OrderUpdated | CancelRejected:
    """Cancel by the venue's id where known, else by ours."""
    if command.oid:
        text = exchange.cancel(owner, command.coin, command.oid)
    else:
        text = exchange.cancel_by_cloid(owner, command.coin, command.cloid)
    if text is not None:
        return CancelRejected(
            ts_exch_ns=exchange.now_ns,
            coin=command.coin,
            cloid=command.cloid,
            code=venue_words.rejection_code(text),
            venue_text=text,
        )
    return OrderUpdated(
        ts_exch_ns=exchange.now_ns,
        coin=command.coin,
        oid=command.oid,
        cloid=command.cloid,
        status=OrderStatus.CANCELLED,
        venue_status="canceled",
    )


def _set_leverage(
    exchange: SimulatedExchange, owner: str, command: SetLeverage
) -> LeverageChanged | LeverageRejected:
    """Set a coin's leverage."""
    text = exchange.update_leverage(owner, command.coin, command.leverage, command.is_cross)
    if text is not None:
        return LeverageRejected(ts_exch_ns=exchange.now_ns, coin=command.coin, venue_text=text)
    return LeverageChanged(
        ts_exch_ns=exchange.now_ns,
        coin=command.coin,
        leverage=command.leverage,
        is_cross=command.is_cross,
    )


def _look_up(
    exchange: SimulatedExchange, owner: str, command: LookUpOrder
) -> OrderUpdated | OrderMissing:
    """Tell what became of an order."""
    found = exchange.order_status(owner, command.cloid)
    if found is None:
        return OrderMissing(ts_exch_ns=exchange.now_ns, coin=command.coin, cloid=command.cloid)
    return _order_updated(found.order, found.status, found.status_ns)


def _report(exchange: SimulatedExchange, owner: str, command: ReportAccount) -> list[Event]:
    """Report fills since a time, then open orders and the account."""
    fills = exchange.fills(owner, command.since_ns)
    events: list[Event] = [
        OrderFilled(ts_exch_ns=row.fill.ts_exch_ns, fill=row.fill)
        for row in fills
        if not is_spot_coin(row.fill.coin)
    ]
    events.append(
        OpenOrdersReported(
            ts_exch_ns=exchange.now_ns, orders=order_reports(exchange.open_orders(owner))
        )
    )
    events.append(exchange.account_report(owner))
    return events


def order_reports(orders: Sequence[OrderSnapshot]) -> tuple[OrderReport, ...]:
    """Turn the venue's open orders on perpetuals into the engine's report rows."""
    return tuple(
        OrderReport(
            coin=order.coin,
            oid=order.oid,
            cloid=order.cloid,
            is_buy=order.is_buy,
            px=order.px,
            lots_orig=order.lots_orig,
            lots_left=order.lots_left,
            reduce_only=order.reduce_only,
            trigger_px=order.trigger_px,
            ts_exch_ns=order.placed_ns,
        )
        for order in orders
        if not is_spot_coin(order.coin)
    )


def _order_updated(order: OrderSnapshot, status: VenueStatus, status_ns: int) -> OrderUpdated:
    """Turn an order's status into the engine's event."""
    return OrderUpdated(
        ts_exch_ns=status_ns,
        coin=order.coin,
        oid=order.oid,
        cloid=order.cloid,
        status=order_status(status),
        is_buy=order.is_buy,
        px=order.px,
        lots_orig=order.lots_orig,
        lots_left=order.lots_left,
        venue_status=status.value,
    )
