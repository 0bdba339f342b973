"""Nonce sets per signer: each new, recent and above the smallest of the hundred kept.

Source: venue documentation, Nonces and API wallets. Times here are the venue's milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from core.model.time import ms_from_ns
from core.simulation.venue.settings import VenueSettings


class NonceBook:
    """The highest nonces used by each signer."""

    __slots__ = ("_settings", "_used")

    def __init__(self, settings: VenueSettings) -> None:
        self._settings = settings
        self._used: dict[str, list[int]] = {}

    def use(self, signer: str, nonce: int, now_ns: int) -> str | None:
        """Spend a nonce; return the venue's error text if it may not be used."""
        low = ms_from_ns(now_ns - self._settings.nonce_past_ns)
        high = ms_from_ns(now_ns + self._settings.nonce_future_ns)
        kept = self._used.setdefault(signer, [])
        if nonce >= high:
            return f"Invalid nonce: nonce too high {nonce} > {high}"
        if nonce <= low:
            return f"Invalid nonce: nonce too low {nonce} < {low}"
        i = bisect_left(kept, nonce)
        if i < len(kept) and kept[i] == nonce:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(kept) >= self._settings.nonce_count_max:
            if nonce < kept[0]:
                return f"Invalid nonce: nonce too low {nonce} < {kept[0]}"
            del kept[0]
        insort(kept, nonce)
        return None

    def canonical(self) -> list[tuple[str, list[int]]]:
        """Return the used nonces as plain lists, by signer."""
        return sorted(self._used.items())
