"""Actions that trade, as structs in the key order in which the venue hashes them.

The field order is the hashing order (the tag ``type`` first) and fields that the venue skips when
absent are skipped in the bytes. Nothing here signs, and nothing here knows an account.

Source of shapes: official Python SDK 0.24.0 (``utils/signing.py``, ``exchange.py``) and the venue's
documentation of the exchange endpoint.
"""

from __future__ import annotations

from typing import Literal

import msgspec

WireTif = Literal["Gtc", "Ioc", "Alo", "FrontendMarket"]
WireGroup = Literal["na", "normalTpsl", "positionTpsl"]


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of the pieces inside actions; fields with a default are skipped when they have it."""


class BaseAction(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"
):
    """Base of all actions."""


# --- the order object ---------------------------------------------------------------------------


class LimitSpec(Part, frozen=True, omit_defaults=True, gc=False):
    """Time in force of a limit order."""

    tif: WireTif


class TriggerSpec(Part, frozen=True, omit_defaults=True, gc=False, rename="camel"):
    """Condition of a trigger order; the mark price wakes it."""

    is_market: bool
    trigger_px: str
    tpsl: Literal["tp", "sl"]


class OrderType(Part, frozen=True, omit_defaults=True, gc=False):
    """Exactly one of ``limit`` and ``trigger``."""

    limit: LimitSpec | None = None
    trigger: TriggerSpec | None = None


class OrderWire(Part, frozen=True, omit_defaults=True, gc=False):
    """One order: asset, is buy, price, size, reduce only, type, cloid."""

    a: int
    b: bool
    p: str
    s: str
    r: bool
    t: OrderType
    c: str | None = None


class Builder(Part, frozen=True, omit_defaults=True, gc=False):
    """A builder code: who earns ``f`` tenths of a basis point. Our own client never sends one."""

    b: str
    f: int


class PriorityGroup(Part, frozen=True, omit_defaults=True, gc=False):
    """Grouping that pays for priority, in 1e-8 of the notional."""

    p: int


class OrderAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="order"):
    """Place orders."""

    orders: list[OrderWire]
    grouping: WireGroup | PriorityGroup
    builder: Builder | None = None


# --- cancel and modify --------------------------------------------------------------------------


class CancelWire(Part, frozen=True, omit_defaults=True, gc=False):
    """One cancel by the venue's id."""

    a: int
    o: int


class CancelAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="cancel"):
    """Cancel by oid; ``f`` asks for a fast cancel and must not name trigger orders."""

    cancels: list[CancelWire]
    f: bool = False


class CancelByCloidWire(Part, frozen=True, omit_defaults=True, gc=False):
    """One cancel by our id."""

    asset: int
    cloid: str


class CancelByCloidAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="cancelByCloid"
):
    """Cancel by cloid."""

    cancels: list[CancelByCloidWire]
    f: bool = False


class ModifyAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="modify"):
    """Replace one order; ``a`` places the new one whatever it is and whatever became of the old."""

    oid: int | str
    order: OrderWire
    a: bool = False


class ModifyWire(Part, frozen=True, omit_defaults=True, gc=False):
    """One replacement: the old order's oid or cloid, and the new order."""

    oid: int | str
    order: OrderWire


class BatchModifyAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="batchModify"
):
    """Replace several orders."""

    modifies: list[ModifyWire]
    a: bool = False


class ScheduleCancelAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="scheduleCancel"
):
    """Dead-man switch: cancel everything at ``time`` (ms); without it the switch is cleared."""

    time: int | None = None


# --- leverage, margin, TWAP --------------------------------------------------------------------


class UpdateLeverageAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="updateLeverage"
):
    """Set leverage and margin mode of one asset."""

    asset: int
    is_cross: bool
    leverage: int


class UpdateIsolatedMarginAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="updateIsolatedMargin"
):
    """Move ``ntli`` micro-USDC (signed) into an isolated position."""

    asset: int
    is_buy: bool
    ntli: int


class TwapWire(Part, frozen=True, omit_defaults=True, gc=False):
    """Asset, is buy, size, reduce only, minutes, randomise."""

    a: int
    b: bool
    s: str
    r: bool
    m: int
    t: bool


class TwapTrigger(Part, frozen=True, omit_defaults=True, gc=False):
    """Start when the price crosses ``p``; ``a`` tells whether from below."""

    p: str
    a: bool


class TwapDetails(Part, frozen=True, omit_defaults=False, gc=False):
    """Start condition and stop price; an unset one is hashed as null."""

    t: TwapTrigger | None = None
    s: str | None = None


class TwapOrderAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="twapOrder"):
    """Trade a size over time."""

    twap: TwapWire
    details: TwapDetails | None = None


class TwapCancelAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="twapCancel"):
    """Stop a TWAP by its id."""

    a: int
    t: int


class NoopAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="noop"):
    """Burn a nonce, and with it an action in flight that uses the same one."""
