"""What must hold in every world, asked of the exchange, the bot's status and its journals."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from core.runtime.compose import JOURNAL_NAME
from tests.soak.world import MASTER, World


def check_quiet(world: World) -> None:
    """Check everything that must be true once nothing is on its way any more."""
    assert world.exchange.conservation_error_micro() == 0
    assert world.exchange.position_error_lots() == 0
    check_fills(world)
    check_intents(world)


def difference(world: World) -> str:
    """Tell what the bot believes that the exchange does not know, or the other way round."""
    report = world.exchange.account_report(MASTER.address)
    status = world.bot.engine.status()
    theirs = {p.coin: p.position_lots for p in report.positions}
    scale = {coin: i.lots_scale for coin, i in world.exchange.instruments.items()}
    ours = {c.coin: round(c.position_coins * scale[c.coin]) for c in status.coins}
    ours = {coin: lots for coin, lots in ours.items() if lots}
    if ours != theirs:
        return f"positions {ours} at the bot, {theirs} at the venue"
    cash_micro = world.bot.engine._context.account.cash_micro
    if cash_micro != report.cash_micro:
        return f"cash {cash_micro} at the bot, {report.cash_micro} at the venue"
    there = {o.oid for o in world.exchange.open_orders(MASTER.address)}
    here = {o.oid for o in status.orders}
    return "" if here == there else f"orders {here} at the bot, {there} at the venue"


def journal_rows(world: World, query: str) -> list[Any]:
    """Ask all of the bot's journals."""
    rows: list[Any] = []
    for bot in world.bots:
        with closing(sqlite3.connect(bot.directory / JOURNAL_NAME)) as journal:
            rows += journal.execute(query).fetchall()
    return rows


def check_fills(world: World) -> None:
    """No fill is lost, none is booked twice, and positions are the sum of fills."""
    theirs = Counter((o.fill.coin, o.fill.tid) for o in world.exchange.fills(MASTER.address))
    ours = Counter(journal_rows(world, "SELECT coin, tid FROM fills"))
    assert ours == theirs, f"missing {theirs - ours}, booked too often {ours - theirs}"
    sums: Counter[str] = Counter()
    for coin, is_buy, lots in journal_rows(world, "SELECT coin, is_buy, lots FROM fills"):
        sums[coin] += lots if is_buy else -lots
    report = world.exchange.account_report(MASTER.address)
    held = {p.coin: p.position_lots for p in report.positions}
    assert {coin: lots for coin, lots in sums.items() if lots} == held


def check_intents(world: World) -> None:
    """Every order of ours at the exchange was an intent on disk, and none was placed twice."""
    known = {cloid for (cloid,) in journal_rows(world, "SELECT cloid FROM orders")}
    oids: dict[str, set[int]] = {}
    for state in world.exchange.historical_orders(MASTER.address):
        if state.order.cloid is not None:
            oids.setdefault(state.order.cloid, set()).add(state.order.oid)
    assert set(oids) <= known, f"orders without an intent: {set(oids) - known}"
    twice = {cloid: found for cloid, found in oids.items() if len(found) > 1}
    assert not twice, f"intents executed twice: {twice}"


class Protection:
    """Positions without a stop at the exchange, and for how long.

    Only for worlds in which nobody else trades on the account.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.worst_seconds = 0.0

    def __call__(self, world: World) -> None:
        now = world.loop.time()
        for position in world.exchange.account_report(MASTER.address).positions:
            covered = sum(
                order.lots_left
                for order in world.exchange.open_orders(MASTER.address)
                if order.coin == position.coin
                and order.is_trigger
                and order.reduce_only
                and order.is_buy is (position.position_lots < 0)
            )
            if covered >= abs(position.position_lots):
                self._since.pop(position.coin, None)
            else:
                since = self._since.setdefault(position.coin, now)
                self.worst_seconds = max(self.worst_seconds, now - since)
        held = {p.coin for p in world.exchange.account_report(MASTER.address).positions}
        for coin in set(self._since) - held:
            del self._since[coin]
