"""Placing, cancelling and modifying orders, alone, in batches and in TP/SL groups.

It turns requests into orders, asks ``judgement`` whether they may live and words the venue's
answers. Source: reference sections 7.1, 8.4 to 8.6.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model.codes import Grouping, Tif
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.judgement import judge, prevalidate
from core.simulation.venue.lifecycle import arm, finish, trim_reduce_only
from core.simulation.venue.matching import Execution, execute
from core.simulation.venue.orders import Order, Stage, TpslGroup
from core.simulation.venue.outputs import AnswerKind, OrderAnswer, OrderRequest, VenueStatus
from core.simulation.venue.state import VenueState


def place(
    state: VenueState, owner: str, requests: Sequence[OrderRequest], grouping: Grouping
) -> list[OrderAnswer]:
    """Place a batch; one answer per order, or a single error for a batch that is malformed."""
    account = state.accounts.get(owner)
    if account is None:
        return [_error(texts.must_deposit(owner), is_whole_action=True)]
    text = prevalidate(state, requests, grouping)
    if text is not None:
        return [_error(text)]
    state.begin_action()
    if grouping is Grouping.NORMAL_TPSL:
        return _place_with_children(state, account, requests[0], requests[1:])
    if grouping is Grouping.POSITION_TPSL:
        return _place_position_tpsl(state, account, requests)
    return [_place_one(state, account, request)[1] for request in requests]


def cancel(state: VenueState, owner: str, coin: str, oid: int) -> str | None:
    """Cancel an open order by oid; return the venue's error text if there is none."""
    book = state.books.get(coin)
    if book is None:
        return texts.ASSET_UNKNOWN
    account = state.accounts.get(owner)
    order = account.orders.get(oid) if account is not None else None
    if order is None or order.coin != coin:
        return texts.order_not_found(book.instrument)
    state.begin_action()
    finish(state, order, VenueStatus.CANCELED)
    return None


def cancel_by_cloid(state: VenueState, owner: str, coin: str, cloid: str) -> str | None:
    """Cancel the latest order that carries ``cloid``."""
    account = state.accounts.get(owner)
    oid = account.cloids.get(cloid, 0) if account is not None else 0
    return cancel(state, owner, coin, oid)


def modify(
    state: VenueState,
    owner: str,
    oid_or_cloid: int | str,
    request: OrderRequest,
    *,
    always_place: bool,
) -> OrderAnswer:
    """Replace an order by a new one with a new oid.

    Without ``always_place`` the new order must be ALO, or GTC that does not match at once. TP/SL
    ties pass from the old order to the new one.
    """
    account = state.accounts.get(owner)
    if account is None:
        return _error(texts.must_deposit(owner), is_whole_action=True)
    text = prevalidate(state, (request,), Grouping.NONE)
    if text is not None:
        return _error(text)
    if not always_place and (request.trigger is not None or request.tif is Tif.IOC):
        return _error(texts.MODIFY_INVALID)
    oid = oid_or_cloid if isinstance(oid_or_cloid, int) else account.cloids.get(oid_or_cloid, 0)
    old = account.orders.get(oid)
    if old is None and not always_place:
        return _error(texts.MODIFY_DEAD, is_whole_action=True)
    state.begin_action()
    if old is None:
        return _place_one(state, account, request)[1]
    return _replace(state, account, old, request, is_post_only=not always_place)


def _replace(
    state: VenueState, account: Account, old: Order, request: OrderRequest, *, is_post_only: bool
) -> OrderAnswer:
    """Cancel ``old`` and place its replacement, which takes over its TP/SL ties if it can.

    A parent stays a parent as an ordinary order, a child a child as a reduce-only trigger; any
    other replacement stands alone, and a parent's children die with it.
    """
    group = old.group
    is_parent = group is not None and group.parent is old
    is_child_like = request.trigger is not None and request.reduce_only
    keeps_ties = request.trigger is None if is_parent else is_child_like
    waits = keeps_ties and old.stage is Stage.WAITING
    if keeps_ties:
        old.group = None
    finish(state, old, VenueStatus.CANCELED)
    new = _new_order(state, account, request, is_position_tpsl=keeps_ties and old.is_position_tpsl)
    if keeps_ties and group is not None:
        new.group = group
        if is_parent:
            group.parent = new
        else:
            group.children[group.children.index(old)] = new
    if waits:
        new.stage = Stage.WAITING
    answer = _send(state, account, new, is_post_only=is_post_only)
    if answer.kind is not AnswerKind.ERROR:
        return answer
    return _error(texts.modify_failed(answer.text), oid=new.oid, cloid=new.cloid)


def _place_one(
    state: VenueState,
    account: Account,
    request: OrderRequest,
    *,
    is_position_tpsl: bool = False,
    group: TpslGroup | None = None,
) -> tuple[Order, OrderAnswer]:
    """Make one order and send it."""
    order = _new_order(state, account, request, is_position_tpsl=is_position_tpsl)
    order.group = group
    return order, _send(state, account, order)


def _new_order(
    state: VenueState, account: Account, request: OrderRequest, *, is_position_tpsl: bool
) -> Order:
    """Give a request its oid and make it known."""
    if request.trigger is not None:
        tif = Tif.IOC if request.trigger.is_market else Tif.GTC
    else:
        assert request.tif is not None, "invariant: an order is either limit or trigger"
        tif = Tif.IOC if request.is_market else request.tif
    order = Order(
        owner=account.address,
        coin=request.coin,
        oid=state.new_oid(),
        cloid=request.cloid,
        is_buy=request.is_buy,
        px=request.px,
        lots_orig=request.lots,
        lots_left=request.lots,
        reduce_only=request.reduce_only,
        tif=tif,
        tif_text="FrontendMarket" if request.is_market else tif.value,
        trigger=request.trigger,
        is_position_tpsl=is_position_tpsl,
        placed_ns=state.now_ns,
        builder=request.builder,
    )
    state.add_order(order)
    return order


def _send(
    state: VenueState, account: Account, order: Order, *, is_post_only: bool = False
) -> OrderAnswer:
    """Judge an order that has its oid, then match, rest or arm it, and word the answer."""
    book = state.books[order.coin]
    post_only = is_post_only or (order.tif is Tif.ALO and order.trigger is None)
    verdict = judge(state, account, book, order, is_post_only=post_only)
    if verdict is not None:
        finish(state, order, verdict[0], verdict[1])
        return _error(verdict[1], oid=order.oid, cloid=order.cloid)
    if order.stage is Stage.WAITING:
        state.show(order, VenueStatus.OPEN)
        return _waiting(order)
    if order.trigger is not None:
        arm(state, order)
        if order.is_position_tpsl:
            return _waiting(order)
        return OrderAnswer(kind=AnswerKind.RESTING, oid=order.oid, cloid=order.cloid)
    execution = execute(state, book, order)
    if order.reduce_only and order.stage is Stage.RESTING:
        trim_reduce_only(state, order)
    return _answer(state, order, execution)


def _answer(state: VenueState, order: Order, execution: Execution) -> OrderAnswer:
    """Word what became of a limit order: resting, filled (also in part) or an error."""
    if order.status.is_rejected:
        return _error(execution.text, oid=order.oid, cloid=order.cloid)
    if order.stage is Stage.RESTING or execution.lots == 0:
        return OrderAnswer(kind=AnswerKind.RESTING, oid=order.oid, cloid=order.cloid)
    instrument = state.books[order.coin].instrument
    return OrderAnswer(
        kind=AnswerKind.FILLED,
        oid=order.oid,
        cloid=order.cloid,
        lots=execution.lots,
        avg_px=instrument.px_text(execution.notional // execution.lots),
    )


def _place_with_children(
    state: VenueState, account: Account, parent: OrderRequest, children: Sequence[OrderRequest]
) -> list[OrderAnswer]:
    """Place a parent and its TP/SL children; children share the fate of a rejected parent."""
    group = TpslGroup(parent=None, children=[])
    parent_order, parent_answer = _place_one(state, account, parent)
    group.parent = parent_order
    parent_order.group = group
    answers = [parent_answer]
    for request in children:
        if parent_answer.kind is AnswerKind.ERROR:
            answers.append(_error(parent_answer.text))
            continue
        child = _new_order(state, account, request, is_position_tpsl=False)
        child.stage = Stage.WAITING
        child.group = group
        answer = _send(state, account, child)
        if answer.kind is not AnswerKind.ERROR:
            group.children.append(child)
            answer = _join_parent(state, child, parent_order)
        answers.append(answer)
    return answers


def _join_parent(state: VenueState, child: Order, parent: Order) -> OrderAnswer:
    """Let a child start where its parent already stands: armed, waiting or dead."""
    if parent.status is VenueStatus.FILLED:
        arm(state, child)
    elif parent.stage is Stage.DEAD:
        finish(state, child, VenueStatus.CANCELED)
    return _waiting(child)


def _place_position_tpsl(
    state: VenueState, account: Account, requests: Sequence[OrderRequest]
) -> list[OrderAnswer]:
    """Place triggers tied to the position; two of them are each other's siblings."""
    group = TpslGroup(parent=None, children=[])
    answers = []
    for request in requests:
        order, answer = _place_one(state, account, request, is_position_tpsl=True, group=group)
        if answer.kind is not AnswerKind.ERROR:
            group.children.append(order)
        answers.append(answer)
    return answers


def _waiting(order: Order) -> OrderAnswer:
    """Word the answer of a TP/SL order that waits."""
    kind = AnswerKind.WAITING_FOR_TRIGGER
    if order.stage is not Stage.ARMED:
        kind = AnswerKind.WAITING_FOR_FILL
    return OrderAnswer(kind=kind, oid=order.oid, cloid=order.cloid)


def _error(
    text: str, *, oid: int = 0, cloid: str | None = None, is_whole_action: bool = False
) -> OrderAnswer:
    """Word a refusal."""
    return OrderAnswer(
        kind=AnswerKind.ERROR, oid=oid, cloid=cloid, text=text, is_whole_action=is_whole_action
    )
