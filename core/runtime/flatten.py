"""Close an account without any session: cancel, close, and ask the venue whether it is flat.

It trusts nothing but the venue: every round reads orders, positions and books anew, so it may be
started twice, beside a running session, or after one died. Stops stay until their position is
gone. It knows no strategy and no journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from core.api.manual_orders import market_order
from core.model.account import OrderReport, PositionReport
from core.model.codes import OrderStatus, Purpose
from core.model.commands import CancelOrder, Command, PlaceOrder
from core.model.errors import GridError, VenueError
from core.model.events import (
    AccountReported,
    BookChanged,
    CancelRejected,
    Event,
    OpenOrdersReported,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
)
from core.model.instrument import Instrument
from core.model.ports import Clock
from core.model.time import NS_PER_S

SLIPPAGE_STEPS = (0.005, 0.01, 0.02, 0.04, 0.08)
"""How far beyond the touch each round may reach; the last one repeats. The venue's own market
orders use 5 to 10 %."""
ROUNDS_MAX = 20
ROUND_SECONDS = 1.0
ACTION_TTL_NS = 10 * NS_PER_S
PROBLEMS_KEPT = 20


class FlattenVenue(Protocol):
    """What flattening asks of a client of the venue; `core.api.HyperliquidAPI` is one."""

    account: str | None

    async def fetch_instruments(self) -> tuple[tuple[Instrument, ...], Sequence[object]]:
        """Read the listed markets."""
        ...

    async def fetch_account(self) -> AccountReported:
        """Read positions."""
        ...

    async def fetch_open_orders(self) -> OpenOrdersReported:
        """Read open orders."""
        ...

    async def fetch_book(self, coin: str) -> BookChanged:
        """Read a coin's book."""
        ...

    async def execute(self, commands: Sequence[Command], *, ttl_ns: int) -> list[Event]:
        """Carry out commands and return what the venue said."""
        ...


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue holds of an account at one moment."""

    orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...]
    account_value_micro: int

    @property
    def is_flat(self) -> bool:
        """Whether nothing is left that could trade or lose."""
        return not self.orders and not self.positions


class FlattenReport(msgspec.Struct, frozen=True, kw_only=True):
    """What flattening did, and what the venue said at the end.

    ``is_flat`` is the venue's word, not ours. ``problems`` are the last refusals and silences.
    """

    is_flat: bool
    rounds: int
    cancelled_count: int
    closing_orders_count: int
    before: Picture
    after: Picture
    problems: tuple[str, ...]


async def look(api: FlattenVenue) -> Picture:
    """Read an account's orders and positions.

    Raises
    ------
    VenueError
        If the venue does not answer.
    """
    orders = (await api.fetch_open_orders()).orders
    report = await api.fetch_account()
    return Picture(
        orders=orders,
        positions=report.positions,
        account_value_micro=report.account_value_micro,
    )


async def flatten(
    api: FlattenVenue,
    clock: Clock,
    *,
    closes_positions: bool = True,
    on_round: Callable[[int, Picture], None] = lambda number, picture: None,
    rounds_max: int = ROUNDS_MAX,
) -> FlattenReport:
    """Cancel what could open, close what is open, until the venue says that nothing is left.

    Parameters
    ----------
    closes_positions : bool
        False only cancels orders, but for the reduce-only ones of positions that stay.
    on_round : callable
        Told the number of the round and what the venue held before it.

    Returns
    -------
    FlattenReport
        Also when it could not be done: look at ``is_flat`` and ``problems``.

    Raises
    ------
    VenueError
        If the venue answered not even the first question.
    """
    return await _Flattening(api, clock, closes_positions=closes_positions).run(
        on_round, rounds_max
    )


class _Flattening:
    """One attempt, with what it has done so far."""

    def __init__(self, api: FlattenVenue, clock: Clock, *, closes_positions: bool) -> None:
        self._api = api
        self._clock = clock
        self._closes_positions = closes_positions
        self._instruments: dict[str, Instrument] = {}
        self._cancelled = 0
        self._closing = 0
        self._problems: list[str] = []

    async def run(self, on_round: Callable[[int, Picture], None], rounds_max: int) -> FlattenReport:
        """Repeat rounds until nothing is left to do or the rounds are used up."""
        instruments, _ = await self._api.fetch_instruments()
        self._instruments = {instrument.coin: instrument for instrument in instruments}
        before = after = await look(self._api)
        number = 0
        while number < rounds_max and self._todo(after):
            number += 1
            on_round(number, after)
            await self._round(after, number)
            await self._clock.sleep(ROUND_SECONDS)
            after = await self._look_again(after)
        return FlattenReport(
            is_flat=after.is_flat,
            rounds=number,
            cancelled_count=self._cancelled,
            closing_orders_count=self._closing,
            before=before,
            after=after,
            problems=tuple(self._problems[-PROBLEMS_KEPT:]),
        )

    def _todo(self, picture: Picture) -> bool:
        return bool(self._doomed(picture) or (self._closes_positions and picture.positions))

    def _doomed(self, picture: Picture) -> list[OrderReport]:
        """Return the orders to cancel: all but those that protect a position which still stands."""
        held = {position.coin for position in picture.positions}
        return [order for order in picture.orders if not (order.reduce_only and order.coin in held)]

    async def _look_again(self, last: Picture) -> Picture:
        try:
            return await look(self._api)
        except VenueError as error:
            self._note(f"the venue did not say what is left: {error}")
            return last

    async def _round(self, picture: Picture, number: int) -> None:
        commands: list[Command] = [
            CancelOrder(order.cloid or "", order.oid, order.coin, self._asset(order.coin))
            for order in self._doomed(picture)
        ]
        if self._closes_positions:
            for i, position in enumerate(picture.positions):
                order = await self._closing_order(position, number, i)
                if order is not None:
                    commands.append(order)
        self._closing += sum(isinstance(command, PlaceOrder) for command in commands)
        for event in await self._api.execute(commands, ttl_ns=ACTION_TTL_NS):
            self._hear(event)

    def _asset(self, coin: str) -> int:
        instrument = self._instruments.get(coin)
        return -1 if instrument is None else instrument.asset

    async def _closing_order(
        self, position: PositionReport, number: int, leg: int
    ) -> PlaceOrder | None:
        """Return a reduce-only order that takes what rests within this round's reach."""
        instrument = self._instruments.get(position.coin)
        if instrument is None:
            self._note(f"{position.coin} is not listed as a perpetual; close it at the venue")
            return None
        slippage = SLIPPAGE_STEPS[min(number, len(SLIPPAGE_STEPS)) - 1]
        try:
            order = market_order(
                instrument,
                await self._api.fetch_book(position.coin),
                account=self._api.account or "",
                seq=self._clock.now_ns() + leg,
                is_buy=position.position_lots < 0,
                size=instrument.coins(abs(position.position_lots)),
                reduce_only=True,
                slippage=slippage,
            )
        except (VenueError, GridError) as error:
            self._note(f"{position.coin}: {error}")
            return None
        return msgspec.structs.replace(order, purpose=Purpose.FLATTEN)

    def _hear(self, event: Event) -> None:
        if isinstance(event, OrderUpdated) and event.venue_status == "canceled":
            self._cancelled += event.status is OrderStatus.CANCELLED
        elif isinstance(event, OrderRejected | CancelRejected):
            self._note(f"{event.coin}: {event.venue_text}")
        elif isinstance(event, OrderUnanswered):
            self._note(f"{event.coin}: no answer came; the next round asks what stands")

    def _note(self, text: str) -> None:
        self._problems.append(text)
