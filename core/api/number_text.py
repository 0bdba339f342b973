"""Decimal text to integers and back to canonical text, exactly and fast.

The feed carries prices and sizes as decimal text. `core.model.instrument` reads them through
`Decimal`, which is right but slow; these functions give the same integers by plain integer
arithmetic and fall back to it for unusual spellings. They know nothing of coins.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from core.model.errors import GridError
from core.model.instrument import decimal_units

WIRE_DECIMALS_MAX = 8
"""Most decimals in a request's number text. Source: official SDK, ``float_to_wire``."""

MEMO_TEXTS_MAX = 20_000

_POW10: tuple[int, ...] = tuple(10**n for n in range(32))


def units(text: str, decimals: int, what: str = "number") -> int:
    """Read decimal text as an integer count of ``10**-decimals``, exactly.

    Same results and errors as `core.model.instrument.decimal_units`, its slow twin.

    Raises
    ------
    GridError
        If the text is no finite number or has more decimals than fit.
    """
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    missing = decimals - len(fraction)
    if missing >= 0 and digits.isdecimal():
        return int(digits) * _POW10[missing]
    return _units_unusual(text, whole, fraction, decimals, what)


class UnitsMemo(dict[str, int]):
    """`units` with a memory: the texts of a book hardly change from one snapshot to the next.

    ``memo[text]`` reads like ``units(text, decimals)``. Forgets everything when it is full, so that
    it stays bounded.
    """

    __slots__ = ("_decimals",)

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self._decimals = decimals

    def __missing__(self, text: str) -> int:
        value = units(text, self._decimals)
        if len(self) >= MEMO_TEXTS_MAX:
            self.clear()
        self[text] = value
        return value


def _units_unusual(text: str, whole: str, fraction: str, decimals: int, what: str) -> int:
    """Read signs, surplus zeros and everything `units` does not expect."""
    if whole[:1] == "-" and (whole[1:] + fraction).isdecimal():
        return -units(text[1:], decimals, what)
    kept, surplus = fraction[:decimals], fraction[decimals:]
    if (whole + kept).isdecimal() and surplus and not surplus.strip("0"):
        return int(whole + kept)
    return decimal_units(text, decimals, what)


def units_rounded(text: str, decimals: int, what: str = "number") -> int:
    """Read decimal text as the nearest integer count of ``10**-decimals``, ties to even.

    For index prices and aggregates, which the venue prints with more digits than the grid has.

    Raises
    ------
    GridError
        If the text is no finite number.
    """
    whole, _, fraction = text.partition(".")
    missing = decimals - len(fraction)
    digits = whole + fraction
    if digits.isdecimal():
        if missing >= 0:
            return int(digits) * _POW10[missing]
        if -missing < len(_POW10):
            return _divided_to_even(int(digits), _POW10[-missing])
    try:
        return int(Decimal(text).scaleb(decimals).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        raise GridError(f"{what} should be a finite number, was {text!r}") from None


def _divided_to_even(value: int, divisor: int) -> int:
    quotient, rest = divmod(value, divisor)
    twice = 2 * rest
    return quotient + (twice > divisor or (twice == divisor and quotient % 2 == 1))


def float_number(text: str, what: str = "number") -> float:
    """Read decimal text as a float, for rates and display; `GridError` if it is no number."""
    try:
        return float(text)
    except ValueError:
        raise GridError(f"{what} should be a number, was {text!r}") from None


def canonical(text: str) -> str:
    """Write a number the way the venue hashes it: no trailing zeros, no sign on zero.

    Raises
    ------
    GridError
        If the text is not a plain decimal, or needs more than 8 decimals.

    Notes
    -----
    Source: official SDK, ``float_to_wire``; the venue re-serialises what it receives in this
    form before it hashes, so ``"1670.10"`` is signed as ``"1670.1"``.
    """
    sign, body = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, fraction = body.partition(".")
    if not (body.isascii() and (whole + fraction).isdecimal()):
        raise GridError(f"number should be plain decimal text, was {text!r}")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    if len(fraction) > WIRE_DECIMALS_MAX:
        raise GridError(f"number should have at most {WIRE_DECIMALS_MAX} decimals, was {text!r}")
    if not fraction:
        return whole if whole == "0" else sign + whole
    return f"{sign}{whole}.{fraction}"
