"""What an account's resting orders ask of its margin, kept order by order.

A check then costs the same however many orders rest. Reduce-only orders ask for nothing and are
never here; neither are spot orders, which lock tokens instead.
"""

from __future__ import annotations

from collections.abc import Callable

from core.simulation.venue.orders import Order


class RestingSide:
    """One side of one coin: its orders with the lots and the margin they are counted with."""

    __slots__ = ("_counted", "leverage", "lots", "margin_micro")

    def __init__(self, leverage: int) -> None:
        self.leverage = leverage
        self.lots = 0
        self.margin_micro = 0
        self._counted: dict[int, tuple[Order, int, int]] = {}

    def __len__(self) -> int:
        return len(self._counted)

    def put(self, order: Order) -> None:
        """Count an order with what is left of it, instead of with what was."""
        self.drop(order)
        margin = order.px * order.lots_left // self.leverage
        self._counted[order.oid] = (order, order.lots_left, margin)
        self.lots += order.lots_left
        self.margin_micro += margin

    def drop(self, order: Order) -> None:
        """Stop counting an order, if it was counted."""
        _, lots, margin = self._counted.pop(order.oid, (order, 0, 0))
        self.lots -= lots
        self.margin_micro -= margin

    def margin_of_micro(self, order: Order) -> int:
        """Return the margin an order is counted with, 0 if it is not."""
        return self._counted[order.oid][2] if order.oid in self._counted else 0

    def reprice(self, leverage: int) -> None:
        """Count every order at another leverage."""
        self.leverage = leverage
        for order, _, _ in tuple(self._counted.values()):
            self.put(order)

    def margin_beyond_micro(self, closing_lots: int, skipped: Order | None) -> int:
        """Return the margin of what is left after the oldest orders closed ``closing_lots``."""
        if self.lots <= closing_lots:
            return 0
        held = 0
        for oid in sorted(self._counted):
            order, lots, _ = self._counted[oid]
            if order is skipped:
                continue
            closing = min(closing_lots, lots)
            closing_lots -= closing
            held += order.px * (lots - closing) // self.leverage
        return held


class RestingOrders:
    """All resting orders of one account that may ask for margin."""

    __slots__ = ("_sides",)

    def __init__(self) -> None:
        self._sides: dict[tuple[str, bool], RestingSide] = {}

    def put(self, order: Order, leverage: int) -> None:
        """Count an order that has come to rest, or whose size has changed while it rests."""
        key = (order.coin, order.is_buy)
        side = self._sides.get(key)
        if side is None:
            side = self._sides[key] = RestingSide(leverage)
        side.put(order)

    def drop(self, order: Order) -> None:
        """Stop counting an order that rests no longer."""
        key = (order.coin, order.is_buy)
        side = self._sides.get(key)
        if side is None:
            return
        side.drop(order)
        if not side:
            del self._sides[key]

    def reprice(self, coin: str, leverage: int) -> None:
        """Count a coin's orders at another leverage."""
        for is_buy in (True, False):
            side = self._sides.get((coin, is_buy))
            if side is not None:
                side.reprice(leverage)

    def lots(self, coin: str, *, is_buy: bool) -> int:
        """Return the lots that rest on one side of a coin."""
        side = self._sides.get((coin, is_buy))
        return side.lots if side is not None else 0

    def margin_micro(self, position_lots: Callable[[str], int], skipped: Order | None) -> int:
        """Return the margin that all of them hold, each rounded down, ``skipped`` left out.

        Orders against a position hold nothing for the lots they would close; the oldest orders
        use up that allowance first.
        """
        held = 0
        for (coin, is_buy), side in self._sides.items():
            lots = position_lots(coin)
            against = -lots if is_buy else lots
            if against > 0:
                held += side.margin_beyond_micro(against, skipped)
            else:
                held += side.margin_micro
                if skipped is not None and (skipped.coin, skipped.is_buy) == (coin, is_buy):
                    held -= side.margin_of_micro(skipped)
        return held
