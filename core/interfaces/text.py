"""Units become text here, and nowhere else in this room.

Everything that may come from outside (venue texts, coin names, reasons) passes through `clean`
before it reaches a screen. This module knows no table, no page and no command.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from core.model.instrument import MICRO_PER_USDC, PX_DECIMALS_PERP, usdc
from core.model.time import NS_PER_S, duration_text

NOTHING = "–"
MINUS = "−"
_SPARKS = "▁▂▃▄▅▆▇█"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_ASCII = str.maketrans(
    {
        "–": "-",
        "−": "-",
        "×": "x",
        "·": "|",
        "…": "~",
        "●": "*",
        "█": "#",
        "░": ".",
        "→": ">",
        "▲": "^",
        "▼": "v",
        "✓": "+",
        "✗": "!",
        **dict(zip(_SPARKS, "_.,-=+*#", strict=True)),
    }
)


def clean(text: str, length_max: int = 400) -> str:
    """Make a foreign text safe to print on one line.

    Control and format characters (terminal escapes, line breaks, text-direction overrides)
    become spaces, runs of spaces become one, and what is longer than ``length_max`` is cut.
    """
    visible = "".join(
        " " if unicodedata.category(char) in _HIDDEN_CATEGORIES else char
        for char in text[: 4 * length_max]
    )
    line = " ".join(visible.split())
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def ascii_text(text: str) -> str:
    """Write ``text`` for a terminal that has only ASCII."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def money_text(micro: int, *, signed: bool = False) -> str:
    """Write micro-USDC with two decimals: ``10,012.34``, signed ``+12.34`` or ``−12.34``."""
    return number_text(usdc(micro), 2, signed=signed)


def money_short_text(micro: int) -> str:
    """Write micro-USDC signed for a narrow column: cents only below a thousand."""
    return number_text(usdc(micro), 2 if abs(micro) < 1_000 * MICRO_PER_USDC else 0, signed=True)


def number_text(value: float, decimals: int, *, signed: bool = False) -> str:
    """Write a float with thousands separators; what is unknown reads as a dash.

    A value that rounds to nothing never carries a sign.
    """
    if not math.isfinite(value):
        return NOTHING
    body = f"{abs(value):,.{decimals}f}"
    if not any(digit in body for digit in "123456789"):
        return body
    if value < 0:
        return MINUS + body
    return "+" + body if signed else body


def percent_text(ratio: float, decimals: int = 2, *, signed: bool = False) -> str:
    """Write a ratio as per cent: ``0.0125`` reads ``1.25 %``."""
    if not math.isfinite(ratio):
        return NOTHING
    return number_text(100.0 * ratio, decimals, signed=signed) + " %"


def price_text(price: float, sz_decimals: int) -> str:
    """Write a price with five significant figures, as the venue's grid has them."""
    if not (math.isfinite(price) and price > 0):
        return NOTHING
    decimals = max(0, min(PX_DECIMALS_PERP - sz_decimals, 4 - math.floor(math.log10(price))))
    return number_text(price, decimals)


def px_text(px: int, sz_decimals: int) -> str:
    """Write integer price units of a perpetual as a price."""
    return price_text(px / 10 ** (PX_DECIMALS_PERP - sz_decimals), sz_decimals)


def lots_text(lots: int, sz_decimals: int) -> str:
    """Write lots as coins."""
    return number_text(lots / 10**sz_decimals, sz_decimals)


def coins_text(coins: float, sz_decimals: int) -> str:
    """Write a signed position in coins; flat reads as a dash."""
    if not math.isfinite(coins) or coins == 0:
        return NOTHING
    return number_text(coins, sz_decimals, signed=True)


def age_text(age_ns: int) -> str:
    """Write the age of data; a negative age means that there is none yet."""
    return duration_text(age_ns) if age_ns >= 0 else NOTHING


def share_text(used: int, cap: int) -> str:
    """Write a used share of a budget as whole per cent; no budget reads as a dash."""
    return f"{100 * used // cap} %" if cap > 0 else NOTHING


def clock_text(ns: int) -> str:
    """Write the UTC time of day: ``12:34:56``."""
    seconds = ns // NS_PER_S % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def short_address(address: str) -> str:
    """Write an address as its first and last four digits: ``0x12ab…89ef``."""
    return address if len(address) <= 12 else f"{address[:6]}…{address[-4:]}"


def bar_text(ratio: float, width: int) -> str:
    """Draw how much of a limit is used, as ``width`` blocks."""
    if width <= 0:
        return ""
    share = min(1.0, max(0.0, ratio)) if math.isfinite(ratio) else 0.0
    full = math.ceil(share * width) if share > 0 else 0
    return "█" * full + "░" * (width - full)


def spark_text(values: Sequence[float], width: int) -> str:
    """Draw a series as ``width`` block characters, oldest left; flat or short reads as a line.

    The series is cut into ``width`` equal parts and the last value of each is drawn.
    """
    if width <= 0 or not values:
        return ""
    count = min(width, len(values))
    picked = [values[(i + 1) * len(values) // count - 1] for i in range(count)]
    low, high = min(picked), max(picked)
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return _SPARKS[0] * count
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[round((value - low) / (high - low) * top)] for value in picked)


def side_text(is_buy: bool) -> str:
    """Return ``buy`` or ``sell``."""
    return "buy" if is_buy else "sell"
