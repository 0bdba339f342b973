"""Commands into actions: as few signed requests as is correct, in the order they must leave.

What gets us out goes first: cancels, then reduce-only orders; then modifies, leverage and new
exposure. Post-only orders travel apart from the others because the venue ranks an action by its
least urgent order. This module signs and sends nothing.

Source: venue documentation (order book ordering, exchange endpoint, rate limits).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from core.api.actions import (
    Action,
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    CancelByCloidWire,
    CancelWire,
    LimitSpec,
    ModifyWire,
    OrderAction,
    OrderType,
    OrderWire,
    TriggerSpec,
    UpdateLeverageAction,
    WireGroup,
)
from core.api.limits import BATCH_ITEMS_MAX
from core.api.rate_limiter import Lane
from core.model.codes import Purpose, Tif
from core.model.commands import CancelOrder, Command, ModifyOrder, PlaceOrder, SetLeverage
from core.model.instrument import Instrument

_C = TypeVar("_C", bound=Command)
_UNGROUPED: WireGroup = "na"
_LIMIT_TYPES = {tif: OrderType(limit=LimitSpec(tif.value)) for tif in Tif}


class ActionGroup(msgspec.Struct, frozen=True):
    """One action and the commands it carries out, in the order of its items."""

    action: Action
    commands: tuple[Command, ...]
    lane: Lane


def order_wire(command: PlaceOrder, instrument: Instrument) -> OrderWire:
    """Write one order in the venue's words; its texts are canonical."""
    if command.trigger is None:
        kind = _LIMIT_TYPES[command.tif]
    else:
        trigger = command.trigger
        kind = OrderType(
            trigger=TriggerSpec(True, instrument.px_text(trigger.trigger_px), trigger.kind.value)
        )
    return OrderWire(
        command.asset,
        command.is_buy,
        instrument.px_text(command.px),
        instrument.lots_text(command.lots),
        command.reduce_only,
        kind,
        command.cloid,
    )


def plan(
    commands: Sequence[Command], instruments: Mapping[str, Instrument]
) -> list[list[ActionGroup]]:
    """Arrange commands into stages; the groups of a stage may be sent at the same time.

    A reduce-only order that follows an opening order of its coin in ``commands`` stays behind it,
    and a cancel of an order that ``commands`` itself places comes last: sent first, it would find
    nothing, and the order would live on.

    Parameters
    ----------
    commands : sequence
        Actions only: no look-ups or reports.
    instruments : mapping
        Grid of every coin named.
    """
    cancels: list[CancelOrder] = []
    modifies: list[ModifyOrder] = []
    leverages: list[SetLeverage] = []
    reducing: list[PlaceOrder] = []
    opening: list[PlaceOrder] = []
    protecting: list[PlaceOrder] = []
    taking_back: list[CancelOrder] = []
    placed: set[str] = set()
    for command in commands:
        if isinstance(command, PlaceOrder):
            placed.add(command.cloid)
            if not command.reduce_only:
                opening.append(command)
            elif any(other.coin == command.coin for other in opening):
                protecting.append(command)
            else:
                reducing.append(command)
        elif isinstance(command, CancelOrder):
            (taking_back if command.cloid in placed else cancels).append(command)
        elif isinstance(command, ModifyOrder):
            placed.add(command.order.cloid)
            modifies.append(command)
        else:
            assert isinstance(command, SetLeverage), f"invariant: an action, was {command!r}"
            leverages.append(command)
    stages = (
        _cancel_groups(cancels) if cancels else (),
        _place_groups(reducing, instruments) if reducing else (),
        _modify_groups(modifies, instruments) if modifies else (),
        [_leverage_group(command) for command in leverages],
        _place_groups(opening, instruments) if opening else (),
        _place_groups(protecting, instruments) if protecting else (),
        _cancel_groups(taking_back) if taking_back else (),
    )
    return [list(stage) for stage in stages if stage]


def _groups(
    items: Sequence[_C], build: Callable[[Sequence[_C]], Action], lane: Lane
) -> list[ActionGroup]:
    """Cut items into batches that still weigh least, one action each."""
    chunks = [items[i : i + BATCH_ITEMS_MAX] for i in range(0, len(items), BATCH_ITEMS_MAX)]
    return [ActionGroup(build(chunk), tuple(chunk), lane) for chunk in chunks]


def _cancel_groups(cancels: Sequence[CancelOrder]) -> list[ActionGroup]:
    by_oid = [c for c in cancels if c.oid > 0]
    by_cloid = [c for c in cancels if c.oid <= 0]
    return [
        *_groups(by_oid, _cancel_action, Lane.CANCEL),
        *_groups(by_cloid, _cancel_by_cloid_action, Lane.CANCEL),
    ]


def _cancel_action(chunk: Sequence[CancelOrder]) -> Action:
    return CancelAction(cancels=[CancelWire(c.asset, c.oid) for c in chunk])


def _cancel_by_cloid_action(chunk: Sequence[CancelOrder]) -> Action:
    return CancelByCloidAction(cancels=[CancelByCloidWire(c.asset, c.cloid) for c in chunk])


def _place_groups(
    places: Sequence[PlaceOrder], instruments: Mapping[str, Instrument]
) -> list[ActionGroup]:
    def build(chunk: Sequence[PlaceOrder]) -> Action:
        orders = [order_wire(c, instruments[c.coin]) for c in chunk]
        return OrderAction(orders=orders, grouping=_UNGROUPED)

    post_only: list[PlaceOrder] = []
    others: list[PlaceOrder] = []
    for command in places:
        is_post_only = command.tif is Tif.ALO and command.trigger is None
        (post_only if is_post_only else others).append(command)
    return [
        group
        for items in (post_only, others)
        if items
        for group in _groups(items, build, _lane_of(items))
    ]


def _modify_groups(
    modifies: Sequence[ModifyOrder], instruments: Mapping[str, Instrument]
) -> list[ActionGroup]:
    """Only a trigger or an IOC needs ``a``: it may be placed although the old order is gone."""

    def build(chunk: Sequence[ModifyOrder]) -> Action:
        wires = [
            ModifyWire(
                c.oid if c.oid > 0 else c.cloid, order_wire(c.order, instruments[c.order.coin])
            )
            for c in chunk
        ]
        return BatchModifyAction(modifies=wires, a=_needs_always(chunk[0]))

    groups: list[ActionGroup] = []
    for always in (True, False):
        items = [c for c in modifies if _needs_always(c) is always]
        groups += _groups(items, build, _lane_of([c.order for c in items]))
    return groups


def _needs_always(command: ModifyOrder) -> bool:
    return command.order.trigger is not None or command.order.tif is Tif.IOC


def _leverage_group(command: SetLeverage) -> ActionGroup:
    action = UpdateLeverageAction(
        asset=command.asset, is_cross=command.is_cross, leverage=command.leverage
    )
    return ActionGroup(action, (command,), Lane.ORDER)


def _lane_of(places: Sequence[PlaceOrder]) -> Lane:
    lane = Lane.REDUCE
    for command in places:
        if command.purpose is Purpose.FLATTEN:
            return Lane.EMERGENCY
        if not command.reduce_only:
            lane = Lane.ORDER
    return lane
