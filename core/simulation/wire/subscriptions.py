"""The words of a subscription: its key, what the acknowledgement echoes, and how fields are read.

What may be subscribed to is told by the channels; here is only what they share. It knows no
connection and no data.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.model.ids import is_address
from core.simulation.wire.board import FIGURES_MAX, FIGURES_MIN, MANTISSAS

Key = tuple[Any, ...]
"""Type and parameters of a subscription; equal keys share one stream."""
Wish = dict[str, Any]
"""What a client sent under ``subscription``."""


class Subscription(msgspec.Struct, frozen=True):
    """One subscription as the venue understood it.

    Parameters
    ----------
    key : tuple
        Type first, then the parameters that tell streams apart.
    echo : dict
        The normalised object that the acknowledgement shows, defaults added.
    user : str or None
        Whose account it follows; such users are counted.
    """

    key: Key
    echo: dict[str, Any]
    user: str | None = None

    @property
    def kind(self) -> str:
        """The subscription's type."""
        return str(self.key[0])


def user_of(wish: Wish) -> str | None:
    """Return the address under ``user``, lowercase; ``None`` if there is no valid one."""
    user = wish.get("user")
    if not isinstance(user, str) or not is_address(user.lower()):
        return None
    return user.lower()


def flag_of(wish: Wish, name: str) -> bool | None:
    """Return a boolean field, false where it is missing or null; ``None`` if it is another type."""
    value = wish.get(name)
    if value is None:
        return False
    return value if isinstance(value, bool) else None


def is_valid_rounding(figures: Any, mantissa: Any) -> bool:
    """Tell whether book prices may be rounded so: 2 to 5 figures, a mantissa only with five."""
    if figures is None:
        return mantissa is None
    is_figures = type(figures) is int and FIGURES_MIN <= figures <= FIGURES_MAX
    return is_figures and (mantissa is None or (figures == FIGURES_MAX and mantissa in MANTISSAS))
