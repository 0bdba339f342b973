"""Instruments and commands that the tests of this room share."""

from __future__ import annotations

from core.model.codes import Purpose, Tif, TriggerKind
from core.model.commands import PlaceOrder, Trigger
from core.model.ids import order_cloid
from core.model.instrument import Instrument, MarginTier

BTC = Instrument("BTC", 0, 5, 40, margin_tiers=(MarginTier(0, 40),))
ETH = Instrument("ETH", 1, 4, 25)
HYPE = Instrument("HYPE", 159, 2, 10)
KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"


def place(leg: int = 0, **changes: object) -> PlaceOrder:
    """A buy of 0.01 BTC at 60 000, post-only, with changes."""
    fields: dict[str, object] = {
        "cloid": order_cloid(ADDRESS, "test", 1, leg),
        "coin": "BTC",
        "asset": 0,
        "is_buy": True,
        "px": BTC.px_from_text("60000"),
        "lots": BTC.lots_from_text("0.01"),
        "tif": Tif.ALO,
        "reduce_only": False,
        "trigger": None,
        "purpose": Purpose.QUOTE,
        "strategy": "test",
        "arrival_mid_x2": 0,
    }
    return PlaceOrder(**{**fields, **changes})  # type: ignore[arg-type]


def stop(leg: int = 0, **changes: object) -> PlaceOrder:
    """A reduce-only stop that sells 0.01 BTC below 59 000."""
    fields: dict[str, object] = {
        "is_buy": False,
        "px": BTC.px_from_text("53100"),
        "tif": Tif.GTC,
        "reduce_only": True,
        "trigger": Trigger(TriggerKind.STOP_LOSS, BTC.px_from_text("59000")),
        "purpose": Purpose.STOP,
    }
    return place(leg, **{**fields, **changes})
