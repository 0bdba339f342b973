"""Identifiers that are pure functions of their input, so that a restart derives the same ones."""

from __future__ import annotations

import hashlib

CLOID_BYTES = 16


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
        ``0x`` and 32 hex digits, as the venue wants a cloid.
    """
    text = f"{account}|{strategy}|{intent_seq}|{leg}".encode()
    return "0x" + hashlib.blake2b(text, digest_size=CLOID_BYTES, person=b"nova-cloid").hexdigest()


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
