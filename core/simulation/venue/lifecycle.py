"""How an order comes to rest, to wait for its trigger, and to its end, with those tied to it.

It moves orders between their places and tells their owners; it never trades and never judges
whether an order is allowed.
"""

from __future__ import annotations

from core.simulation.venue.orders import Order, Stage
from core.simulation.venue.outputs import VenueStatus
from core.simulation.venue.state import VenueState


def rest(state: VenueState, order: Order) -> None:
    """Put an order on the book, last in time at its price."""
    order.stage = Stage.RESTING
    order.queue_seq = state.new_queue_seq()
    state.books[order.coin].queue_up(order)
    state.account(order.owner).count_resting(order)
    if not order.is_shown or order.status is not VenueStatus.OPEN:
        state.show(order, VenueStatus.OPEN)


def arm(state: VenueState, order: Order) -> None:
    """Let a trigger order wait for the mark price."""
    assert order.trigger is not None, f"invariant: order {order.oid} should be a trigger"
    order.stage = Stage.ARMED
    order.queue_seq = state.new_queue_seq()
    queue = state.books[order.coin].armed_side(fires_below=order.fires_below)
    queue.add(order, order.trigger.trigger_px)
    if not order.is_shown:
        state.show(order, VenueStatus.OPEN)


def withdraw(state: VenueState, order: Order) -> None:
    """Take an order off the book or out of the trigger queue; its stage becomes ``NEW``."""
    book = state.books[order.coin]
    if order.stage is Stage.RESTING:
        book.local_side(is_buy=order.is_buy).remove(order, order.px)
        state.account(order.owner).resting.drop(order)
    elif order.stage is Stage.ARMED:
        assert order.trigger is not None, f"invariant: order {order.oid} should be a trigger"
        book.armed_side(fires_below=order.fires_below).remove(order, order.trigger.trigger_px)
    order.stage = Stage.NEW


def finish(state: VenueState, order: Order, status: VenueStatus, text: str = "") -> None:
    """End an order for good and let the orders tied to it follow."""
    assert status.is_terminal, f"invariant: an end should be terminal, was {status}"
    assert order.stage is not Stage.DEAD, f"invariant: order {order.oid} ends once"
    withdraw(state, order)
    order.stage = Stage.DEAD
    del state.account(order.owner).orders[order.oid]
    state.show(order, status, text)
    if order.group is not None:
        _follow(state, order, status)


def _follow(state: VenueState, order: Order, status: VenueStatus) -> None:
    """Arm or cancel the children of a finished parent; cancel the siblings of a filled child.

    Source: venue documentation, Take profit and stop loss orders: children live once the parent
    is completely filled and die with it, but for a parent that was partly filled and then
    cancelled for lack of margin.
    """
    group = order.group
    assert group is not None, f"invariant: order {order.oid} should belong to a group"
    if group.parent is order:
        was_cut = status is VenueStatus.MARGIN_CANCELED and order.lots_filled > 0
        for child in group.children:
            if child.stage is not Stage.WAITING:
                continue
            if status is VenueStatus.FILLED or was_cut:
                arm(state, child)
            else:
                finish(state, child, VenueStatus.CANCELED if status.is_rejected else status)
    elif status is VenueStatus.FILLED:
        for sibling in group.children:
            if sibling.stage in (Stage.WAITING, Stage.ARMED, Stage.RESTING):
                finish(state, sibling, VenueStatus.SIBLING_FILLED_CANCELED)


def prune_reduce_only(state: VenueState) -> None:
    """Cancel reduce-only orders that no longer reduce, wherever positions have changed.

    Position TP/SL orders vanish with their position by the same rule.
    """
    while state.unpruned:
        owner, coin = next(iter(state.unpruned))
        del state.unpruned[(owner, coin)]
        account = state.account(owner)
        if not account.orders:
            continue
        lots = account.lots(coin)
        for order in tuple(account.orders.values()):
            if not order.reduce_only or order.coin != coin:
                continue
            increases = lots == 0 or (lots > 0) is order.is_buy
            if increases and order.stage in (Stage.RESTING, Stage.ARMED):
                finish(state, order, VenueStatus.REDUCE_ONLY_CANCELED)


def trim_reduce_only(state: VenueState, newest: Order) -> None:
    """Cancel the oldest resting reduce-only orders that together exceed the position.

    Observed on the venue's testnet: accepting a newer one cancelled the older one.
    """
    account = state.account(newest.owner)
    resting = [
        order
        for order in account.orders.values()
        if order.reduce_only
        and order.stage is Stage.RESTING
        and order.coin == newest.coin
        and order.is_buy is newest.is_buy
    ]
    excess = sum(order.lots_left for order in resting)
    excess -= account.reducible_lots(newest.coin, is_buy=newest.is_buy)
    for order in resting:
        if excess <= 0:
            return
        if order is not newest:
            excess -= order.lots_left
            finish(state, order, VenueStatus.REDUCE_ONLY_CANCELED)


def cancel_all(
    state: VenueState,
    owner: str,
    status: VenueStatus,
    coin: str = "",
    *,
    is_margined_only: bool = False,
) -> int:
    """Cancel an account's open orders, of one coin if given; return how many died.

    ``is_margined_only`` leaves spot orders alone, which no margin carries.
    """
    account = state.account(owner)
    count = 0
    for order in tuple(account.orders.values()):
        if is_margined_only and order.coin not in account.leverage:
            continue
        if order.stage is not Stage.DEAD and coin in ("", order.coin):
            finish(state, order, status)
            count += 1
    return count
