"""Numbers as the venue writes them: decimal texts with at least one decimal, times in ms.

``1.0`` for whole numbers, ``0.0`` for zero, no exponents. Requests use another form, without
trailing zeros; that one belongs to the instruments. It knows no message.
"""

from __future__ import annotations

from decimal import Decimal

from core.model.instrument import Instrument, decimal_text, micro_text
from core.model.time import NS_PER_MS

ZERO_HASH = "0x" + "0" * 64
RATE_DECIMALS = 10


def with_point(text: str) -> str:
    """Give a whole number its decimal: ``113377`` becomes ``113377.0``."""
    return text if "." in text else text + ".0"


def px_text(instrument: Instrument, px: int) -> str:
    """Write price units."""
    return with_point(decimal_text(px, instrument.px_decimals))


def lots_text(instrument: Instrument, lots: int) -> str:
    """Write lots as coins."""
    return with_point(decimal_text(lots, instrument.sz_decimals))


def usd_text(micro: int) -> str:
    """Write micro-USDC as USDC."""
    return with_point(micro_text(micro))


def rate_text(rate: float) -> str:
    """Write a rate with up to ten decimals and no exponent."""
    units = int((Decimal(repr(rate)) * 10**RATE_DECIMALS).to_integral_value())
    return with_point(decimal_text(units, RATE_DECIMALS))


def rate_e10_text(rate_e10: int) -> str:
    """Write a rate that counts 10^-10."""
    return with_point(decimal_text(rate_e10, RATE_DECIMALS))


def rate_e8_text(rate_e8: int) -> str:
    """Write a fee rate that counts 10^-8."""
    return with_point(decimal_text(rate_e8, 8))


def percent_text(percent: int) -> str:
    """Write whole per cents as a share, such as ``0.04``."""
    return with_point(decimal_text(percent, 2))


def ms(ns: int) -> int:
    """Write a time: whole milliseconds."""
    return ns // NS_PER_MS
