"""States of a market other than open for trading: after an upgrade, halted, delisted, at its cap.

Source: reference sections 7.7, 8.11 and 15.6. In a post-only window, while halted and after a
delisting orders are refused by ``judgement``; this file begins and ends those states.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from core.model.time import NS_PER_HOUR
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.handover import settle
from core.simulation.venue.lifecycle import cancel_all, prune_reduce_only
from core.simulation.venue.liquidation import examine, seize_cash
from core.simulation.venue.margin import isolated_margin_micro
from core.simulation.venue.open_interest import is_at_cap
from core.simulation.venue.outputs import VenueStatus
from core.simulation.venue.premium import divided
from core.simulation.venue.state import VenueState


class OracleHour:
    """The oracle's last hour, for its time-weighted average."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int]] = deque()

    def note(self, px: int, now_ns: int) -> None:
        """Hear the price that holds from now on; times never run backwards."""
        steps = self._steps
        if not steps or steps[-1][1] != px:
            steps.append((now_ns, px))
        while len(steps) > 1 and steps[1][0] <= now_ns - NS_PER_HOUR:
            steps.popleft()

    def average_px(self, now_ns: int) -> int | None:
        """Return the average of the hour before ``now_ns``, or of what is known of it."""
        if not self._steps:
            return None
        start_ns = max(self._steps[0][0], now_ns - NS_PER_HOUR)
        if start_ns >= now_ns:
            return self._steps[-1][1]
        weighted, end_ns = 0, now_ns
        for since_ns, px in reversed(self._steps):
            from_ns = max(since_ns, start_ns)
            if from_ns < end_ns:
                weighted += px * (end_ns - from_ns)
                end_ns = from_ns
        return divided(weighted, now_ns - start_ns)

    def canonical(self) -> list[Any]:
        """Return all that decides future averages."""
        return list(self._steps)


class MarketStates:
    """Begins and ends the special states of the venue's markets.

    Parameters
    ----------
    on_delisted : callable
        Told of a coin before its positions are settled, to end what runs on it.
    """

    def __init__(self, state: VenueState, on_delisted: Callable[[str], None]) -> None:
        self._state = state
        self._on_delisted = on_delisted
        self._oracles: dict[str, OracleHour] = {}

    # --- post-only window -----------------------------------------------------------------

    @property
    def is_post_only(self) -> bool:
        """Whether only post-only orders are accepted now."""
        return self._state.is_post_only

    def begin_post_only(self, until_ns: int) -> None:
        """Accept only post-only orders before ``until_ns``, as after a network upgrade.

        Resting orders stay. Triggers that would trade at once when they wake, and TWAP slices,
        fail; liquidations go on (assumption).
        """
        self._state.post_only_until_ns = until_ns

    # --- halts ----------------------------------------------------------------------------

    def halt(self, coin: str) -> str | None:
        """Stop trading in a coin: orders are refused, cancels are not, the mark stands still."""
        return self._set_halted(coin, is_halted=True)

    def resume(self, coin: str) -> str | None:
        """Let a halted coin trade again, from the next tick's mark on."""
        return self._set_halted(coin, is_halted=False)

    def is_halted(self, coin: str) -> bool:
        """Whether trading in a coin is stopped."""
        return self._state.books[coin].is_halted

    def _set_halted(self, coin: str, *, is_halted: bool) -> str | None:
        book = self._state.books.get(coin)
        if book is None:
            return texts.ASSET_UNKNOWN
        book.is_halted = is_halted
        return None

    # --- delisting ------------------------------------------------------------------------

    @property
    def delisted(self) -> tuple[str, ...]:
        """Coins that are delisted, those listed as such from the start included."""
        books = self._state.books
        return tuple(coin for coin, book in books.items() if book.instrument.is_delisted)

    def note_oracle(self, book: CoinBook, px: int) -> None:
        """Remember the oracle for the settlement of a delisting."""
        coin = book.instrument.coin
        if book.instrument.is_spot:
            return
        if coin not in self._oracles:
            self._oracles[coin] = OracleHour()
        self._oracles[coin].note(px, self._state.now_ns)

    def settlement_px(self, coin: str) -> int | None:
        """Return what positions would settle at now: the oracle's average over one hour."""
        hour = self._oracles.get(coin)
        return None if hour is None else hour.average_px(self._state.now_ns)

    def delist(self, coin: str) -> str | None:
        """End a coin for good: cancel its orders, settle its positions, refuse new orders.

        Every position, the outside market's included, ends at the same price, so no money
        appears. Source: venue documentation, Delisting.
        """
        state = self._state
        book = state.books.get(coin)
        if book is None or book.instrument.is_delisted:
            return texts.ASSET_UNKNOWN
        state.begin_action()
        self._on_delisted(coin)
        for owner in state.accounts:
            cancel_all(state, owner, VenueStatus.DELISTED_CANCELED, coin)
        px = self.settlement_px(coin)
        holders = tuple(book.holders.values())
        if px is not None:
            for holder in holders:
                self._settle(book, holder, px)
            if book.outside_lots:
                book.settlement.book_outside(state, book, lots_signed=-book.outside_lots, px=px)
        prune_reduce_only(state)
        book.instrument = msgspec.structs.replace(book.instrument, is_delisted=True)
        for holder in holders:
            if holder is not state.liquidator:
                examine(state, holder)
        return None

    def _settle(self, book: CoinBook, holder: Account, px: int) -> None:
        """End one position; an isolated one never costs more than its margin."""
        position = holder.positions[book.instrument.coin]
        shortfall = 0
        if not position.is_cross:
            shortfall = min(0, isolated_margin_micro(position, px))
        settle(self._state, book, holder, px)
        if shortfall:
            seize_cash(self._state, holder, shortfall)

    # --- open interest --------------------------------------------------------------------

    def coins_at_cap(self) -> tuple[str, ...]:
        """Return the coins whose open interest has reached its cap, in asset order."""
        state = self._state
        return tuple(coin for coin, book in state.books.items() if is_at_cap(state, book))

    def canonical(self) -> list[Any]:
        """Return all that decides future settlements."""
        return [[coin, hour.canonical()] for coin, hour in sorted(self._oracles.items())]
