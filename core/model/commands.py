"""What the engine asks of the venue. A command is not an outcome; outcomes come as events."""

from __future__ import annotations

import msgspec

from core.model.codes import Purpose, Tif, TriggerKind


class Trigger(msgspec.Struct, frozen=True, array_like=True):
    """Wakes the order when the mark price crosses ``trigger_px``, as a market order."""

    kind: TriggerKind
    trigger_px: int


class PlaceOrder(msgspec.Struct, frozen=True, array_like=True, tag="place"):
    """Place one order; ``reduce_only`` is always explicit.

    ``px`` (price units) is the limit, for a trigger the worst price after it wakes. ``lots`` is
    above 0. ``arrival_mid_x2`` is bid + ask when the decision was made, twice the trigger
    price of a trigger, 0 if there was none.
    """

    cloid: str
    coin: str
    asset: int
    is_buy: bool
    px: int
    lots: int
    tif: Tif
    reduce_only: bool
    trigger: Trigger | None
    purpose: Purpose
    strategy: str
    arrival_mid_x2: int


class CancelOrder(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Cancel by the venue's id where known (``oid`` above 0), else by ours."""

    cloid: str
    oid: int
    coin: str
    asset: int


class ModifyOrder(msgspec.Struct, frozen=True, array_like=True, tag="modify"):
    """Replace the working order ``oid`` (known to us as ``cloid``) by ``order``, atomically."""

    cloid: str
    oid: int
    order: PlaceOrder


class SetLeverage(msgspec.Struct, frozen=True, array_like=True, tag="leverage"):
    """Set a coin's leverage before the first order in it."""

    coin: str
    asset: int
    leverage: int
    is_cross: bool


class LookUpOrder(msgspec.Struct, frozen=True, array_like=True, tag="look_up"):
    """Ask what became of an order whose answer never came; a read, safe to repeat."""

    cloid: str
    coin: str


class ReportAccount(msgspec.Struct, frozen=True, array_like=True, tag="report_account"):
    """Ask for account state, open orders and fills since ``since_ns``; a read, safe to repeat."""

    since_ns: int


Command = PlaceOrder | CancelOrder | ModifyOrder | SetLeverage | LookUpOrder | ReportAccount
