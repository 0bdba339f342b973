"""Positions and orders of a status as tables and as plain rows for JSON.

The tables are for people and round; the rows keep every digit. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from core.interfaces import text as t
from core.model.instrument import PX_DECIMALS_PERP, decimal_text, micro_text
from core.model.status import SystemStatus
from core.model.time import utc_text

_LEVELS = {
    "ok": ("✓ ok", "green"),
    "warning": ("! warning", "yellow"),
    "blocking": ("✗ blocking", "bold red"),
}


class Finding(Protocol):
    """What the doctor says about one thing."""

    @property
    def name(self) -> str:
        """What was looked at."""
        ...

    @property
    def level(self) -> str:
        """``ok``, ``warning`` or ``blocking``."""
        ...

    @property
    def found(self) -> str:
        """What was found."""
        ...

    @property
    def fix(self) -> str:
        """What to do about it; may be empty."""
        ...

    @property
    def why(self) -> str:
        """Why it matters; may be empty."""
        ...


class Address(Protocol):
    """One address of the identity graph."""

    @property
    def relation(self) -> str:
        """What it is to the one above."""
        ...

    @property
    def address(self) -> str:
        """The address itself."""
        ...

    @property
    def facts(self) -> Sequence[str]:
        """What the venue tells of it."""
        ...

    @property
    def children(self) -> Sequence[Address]:
        """What hangs on it."""
        ...

    @property
    def is_traded(self) -> bool:
        """Whether it is the account that is traded for."""
        ...


def simple_table(*heads: str, left: int = 1) -> Table:
    """Return an empty table whose first ``left`` columns read from the left."""
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < left else "right", no_wrap=i > 0)
    return table


def positions_table(status: SystemStatus) -> RenderableType:
    """Draw the open positions; says so where there is none."""
    held = [coin for coin in status.coins if coin.position_coins]
    if not held:
        return Text("no open position", "dim")
    table = simple_table(
        "Coin", "Strategy", "Size", "Notional", "Entry", "Mark", "Stop", "Target", "PnL", left=2
    )
    for coin in held:
        d, pnl = coin.sz_decimals, coin.unrealized_pnl_micro
        table.add_row(
            Text(t.clean(coin.coin), "bold"),
            Text(t.clean(coin.strategy) or t.NOTHING),
            t.coins_text(coin.position_coins, d),
            t.money_text(coin.position_notional_micro),
            t.price_text(coin.entry_price, d),
            t.price_text(coin.mark_price, d),
            t.price_text(coin.stop_price, d),
            t.price_text(coin.target_price, d),
            Text(t.money_text(pnl, signed=True), "green" if pnl > 0 else "red" if pnl else ""),
        )
    return table


def orders_table(status: SystemStatus) -> RenderableType:
    """Draw the orders that work or are in flight; says so where there is none."""
    if not status.orders:
        return Text("no order works", "dim")
    decimals = {coin.coin: coin.sz_decimals for coin in status.coins}
    table = simple_table(
        "Coin", "Strategy", "For", "Side", "Left", "Price", "Trigger", "Status", "Since", left=4
    )
    for order in status.orders:
        d = decimals.get(order.coin, 0)
        table.add_row(
            Text(t.clean(order.coin), "bold"),
            Text(t.clean(order.strategy)),
            order.purpose.value,
            Text(t.side_text(order.is_buy), "green" if order.is_buy else "red"),
            t.lots_text(order.lots_left, d),
            t.px_text(order.px, d),
            t.px_text(order.trigger_px, d),
            order.status.value.replace("_", " "),
            t.clock_text(order.changed_ns),
        )
    return table


def positions_rows(status: SystemStatus) -> list[dict[str, Any]]:
    """Return the open positions as plain data; money as exact USDC text."""
    return [
        {
            "coin": coin.coin,
            "strategy": coin.strategy,
            "position_coins": coin.position_coins,
            "notional_usdc": micro_text(coin.position_notional_micro),
            "entry_price": coin.entry_price,
            "mark_price": coin.mark_price,
            "stop_price": coin.stop_price,
            "target_price": coin.target_price,
            "unrealized_pnl_usdc": micro_text(coin.unrealized_pnl_micro),
        }
        for coin in status.coins
        if coin.position_coins
    ]


def orders_rows(status: SystemStatus) -> list[dict[str, Any]]:
    """Return the working orders as plain data; prices and sizes as exact texts.

    A coin that the status does not list has no known grid; its integers come as they are.
    """
    decimals = {coin.coin: coin.sz_decimals for coin in status.coins}
    rows = []
    for order in status.orders:
        d = decimals.get(order.coin)
        px_decimals = 0 if d is None else PX_DECIMALS_PERP - d
        rows.append(
            {
                "coin": order.coin,
                "cloid": order.cloid,
                "oid": order.oid,
                "strategy": order.strategy,
                "purpose": order.purpose.value,
                "side": t.side_text(order.is_buy),
                "price": decimal_text(order.px, px_decimals),
                "trigger_price": decimal_text(order.trigger_px, px_decimals),
                "size": decimal_text(order.lots, d or 0),
                "size_left": decimal_text(order.lots_left, d or 0),
                "reduce_only": order.reduce_only,
                "status": order.status.value,
                "changed": utc_text(order.changed_ns),
            }
        )
    return rows


def checks_table(checks: Sequence[Finding]) -> RenderableType:
    """Draw what the doctor found, and what to do about it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        mark, style = _LEVELS[check.level]
        found = Text(t.clean(check.found, 1_000))
        if check.why:
            found.append(f"\n  {t.clean(check.why, 1_000)}", "dim")
        if check.fix:
            found.append(f"\n→ {t.clean(check.fix, 1_000)}", "dim")
        table.add_row(Text(mark, style), Text(t.clean(check.name), "bold"), found)
    blocked = sum(1 for check in checks if check.level == "blocking")
    verdict = f"{blocked} of {len(checks)} checks block trading" if blocked else "nothing blocks"
    return Group(table, Text(verdict, "bold red" if blocked else "bold green"))


def identity_tree(root: Address) -> Tree:
    """Draw who signs for whom, the account that is traded for marked."""
    tree = Tree(_address_text(root), guide_style="dim")
    _hang(tree, root.children)
    return tree


def _hang(tree: Tree, nodes: Sequence[Address]) -> None:
    for node in nodes:
        _hang(tree.add(_address_text(node)), node.children)


def _address_text(node: Address) -> Text:
    line = Text(f"{t.clean(node.relation)} ", "bold")
    line.append(t.clean(node.address), "cyan")
    for fact in node.facts:
        line.append(f", {t.clean(fact)}", "dim")
    if node.is_traded:
        line.append("  ← traded", "bold green")
    return line
