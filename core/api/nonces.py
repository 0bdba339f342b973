"""Nonces: the one number of a request that must never repeat for a key.

Knows nothing of keys; whoever shares a key shares a source.
"""

from __future__ import annotations

import threading

from core.model.ports import Clock
from core.model.time import ms_from_ns


class NonceSource:
    """Milliseconds of the clock, moved forward where two requests fall into one millisecond.

    The venue accepts any nonce that is new for the signing key and within two days of its own
    time. Source: venue documentation, nonces and API wallets.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return a nonce above every earlier one; safe to call from several threads."""
        with self._lock:
            self._last = max(self._last + 1, ms_from_ns(self._clock.now_ns()))
            return self._last
