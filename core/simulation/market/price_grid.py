"""The venue's price grid on whole arrays: the vectorised twin of `Instrument.tick_units_at`.

Market sources round millions of prices; the scalar rule would be too slow. It knows only integers
and the number of units per USDC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.model.instrument import SIGNIFICANT_FIGURES

Int64Array = npt.NDArray[np.int64]
_POWERS = 10 ** np.arange(19, dtype=np.int64)


def tick_units(px: Int64Array, px_scale: int) -> Int64Array:
    """Return the smallest valid price step at each price.

    Parameters
    ----------
    px : int64 array
        Price units, above 0.
    px_scale : int
        Price units per USDC; whole USDC are always on the grid.

    Notes
    -----
    Twin: ``Instrument.tick_units_at``.
    """
    digits = np.searchsorted(_POWERS, px, side="right")
    steps = _POWERS[np.maximum(0, digits - SIGNIFICANT_FIGURES)]
    return np.minimum(steps, px_scale)


def nearest_on_grid(prices: npt.NDArray[np.float64], px_scale: int) -> Int64Array:
    """Round float prices to the nearest grid price, in price units, at least one unit."""
    units = np.maximum(1, np.rint(prices * px_scale).astype(np.int64))
    steps = tick_units(units, px_scale)
    nearest: Int64Array = np.maximum(steps, (units + steps // 2) // steps * steps)
    return nearest


def floor_on_grid(px: Int64Array, px_scale: int) -> Int64Array:
    """Round price units down to the grid."""
    return px - px % tick_units(px, px_scale)


def ceil_on_grid(px: Int64Array, px_scale: int) -> Int64Array:
    """Round price units up to the grid."""
    steps = tick_units(px, px_scale)
    return -(-px // steps) * steps
