"""What all handlers share: who acts, how answers are worded, how amounts are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.model.errors import GridError
from core.model.ids import is_address
from core.model.instrument import Instrument, decimal_units
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.records import Token, VenueRefusal
from core.simulation.wire.requests import error_body

Body = dict[str, Any]
DEFAULT_OK: Body = {"status": "ok", "response": {"type": "default"}}
USD_DECIMALS = 6
INVALID_AMOUNT = "Invalid amount"
INVALID_DESTINATION = "Invalid destination"
UNKNOWN_TOKEN = "Unknown token"
"""Our wording of the three: the venue's texts for malformed fields are not documented."""


class Acting(msgspec.Struct, frozen=True):
    """Who acts: the account acted on, the account whose key it is, and when."""

    owner: str
    master: str
    now_ns: int


Handler = Callable[[Acting, Any], Body]


class InvalidFieldError(Exception):
    """A field of an action is malformed; the text refuses the whole action."""


def own_only(handler: Handler) -> Handler:
    """Refuse an action that names a sub-account or vault to act for (``vaultAddress``)."""

    def guarded(acting: Acting, action: Any) -> Body:
        if acting.owner != acting.master:
            return error_body(texts.VAULT_MAY_NOT)
        return handler(acting, action)

    return guarded


def default(text: str | None) -> Body:
    """Answer an action that carries nothing back: done, or the venue's no."""
    return DEFAULT_OK if text is None else error_body(text)


def answered(kind: str, result: str | VenueRefusal) -> Body:
    """Answer an action that made something with an address."""
    if isinstance(result, VenueRefusal):
        return error_body(result.text)
    return {"status": "ok", "response": {"type": kind, "data": result}}


def statuses(kind: str, rows: list[Any]) -> Body:
    """Answer a batch: one status an item."""
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": rows}}}


def units(text: str, decimals: int) -> int:
    """Read a positive amount; `InvalidFieldError` if it is none or finer than counted."""
    try:
        amount = decimal_units(text, decimals, "amount")
    except (GridError, ArithmeticError, ValueError):
        raise InvalidFieldError(INVALID_AMOUNT) from None
    if not 0 < amount < 1 << 62:
        raise InvalidFieldError(INVALID_AMOUNT)
    return amount


def address(text: str) -> str:
    """Read an address; `InvalidFieldError` if it is none."""
    lowered = text.lower()
    if not is_address(lowered):
        raise InvalidFieldError(INVALID_DESTINATION)
    return lowered


def token(exchange: SimulatedExchange, name: str) -> Token:
    """Find a token by ``NAME:0xid``; `InvalidFieldError` if it is not listed."""
    found = exchange.spot.token_named(name)
    if found is None:
        raise InvalidFieldError(UNKNOWN_TOKEN)
    return found


class Assets:
    """Markets by asset id."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._by_asset = {i.asset: i for i in exchange.instruments.values()}

    def get(self, asset: int) -> Instrument | None:
        """Return a market, None if the id is not listed."""
        return self._by_asset.get(asset)

    def coin(self, asset: int) -> str:
        """Return a market's coin.

        Raises
        ------
        InvalidFieldError
            If the id is not listed.
        """
        instrument = self._by_asset.get(asset)
        if instrument is None:
            raise InvalidFieldError(f"{texts.ASSET_UNKNOWN} asset={asset}")
        return instrument.coin
