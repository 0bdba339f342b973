"""Identifiers that are pure functions of their input, so that a restart derives the same ones."""

from __future__ import annotations

import hashlib
from functools import lru_cache

CLOID_BYTES = 16
TAG_BYTES = 4
STRATEGY_MANUAL = "manual"
"""Names orders that a person placed through this program: nobody may take them for the engine's."""


def order_cloid(account: str, strategy: str, intent_seq: int, leg: int) -> str:
    """Derive the client order id of one leg of one intent.

    Parameters
    ----------
    account : str
        Lowercase address the order is placed for.
    intent_seq : int
        The engine's count of intents that led to orders; never reused within an account.
    leg : int
        Position of the order within its intent, from 0.

    Returns
    -------
    str
        ``0x`` and 32 hex digits, as the venue wants a cloid. The first eight are the account's
        tag (see `is_engine_cloid`), but for orders by hand; the rest is a hash of everything.
    """
    text = f"{account}|{strategy}|{intent_seq}|{leg}".encode()
    whole = hashlib.blake2b(text, digest_size=CLOID_BYTES, person=b"nova-cloid").hexdigest()
    return "0x" + (whole if strategy == STRATEGY_MANUAL else _tag(account) + whole[2 * TAG_BYTES :])


def is_engine_cloid(account: str, cloid: str | None) -> bool:
    """Tell whether an order was placed by an engine for this account, whoever remembers it.

    A stranger's order passes by accident once in four thousand million.
    """
    return cloid is not None and cloid.startswith("0x" + _tag(account))


@lru_cache(maxsize=64)
def _tag(account: str) -> str:
    return hashlib.blake2b(account.encode(), digest_size=TAG_BYTES, person=b"nova-tag").hexdigest()


def is_cloid(text: str) -> bool:
    """Tell whether ``text`` is ``0x`` and 32 lowercase hex digits."""
    return (
        len(text) == 2 + 2 * CLOID_BYTES
        and text.startswith("0x")
        and all(c in "0123456789abcdef" for c in text[2:])
    )


def is_address(text: str) -> bool:
    """Tell whether ``text`` is ``0x`` and 40 lowercase hex digits."""
    return (
        len(text) == 42 and text.startswith("0x") and all(c in "0123456789abcdef" for c in text[2:])
    )
