"""Sub-accounts and vaults. Source: reference section 10.3 and the types of public clients."""

from __future__ import annotations

from typing import Any

from core.model.time import NS_PER_DAY
from core.simulation.venue.records import VaultFollower, VaultView
from core.simulation.venue.vaults import COMMISSION_PERCENT
from core.simulation.wire.queries.accounts import portfolio_rows
from core.simulation.wire.queries.base import Desk, Handler, Query, address
from core.simulation.wire.queries.spot import balances
from core.simulation.wire.rows import account_row
from core.simulation.wire.text import ms, usd_text

_MICRO = 1_000_000
DAYS_PER_YEAR, DAYS_PER_MONTH = 365, 30


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    exchange = desk.exchange

    def sub_accounts(query: Query, now_ns: int) -> Any:
        rows = [
            {
                "name": row.name,
                "subAccountUser": row.address,
                "master": row.master,
                "clearinghouseState": _state(desk, row.address, now_ns),
                "spotState": balances(desk, row.address),
            }
            for row in exchange.family.sub_accounts(address(query))
        ]
        return rows or None

    def sub_accounts_2(query: Query, now_ns: int) -> Any:
        rows = [
            {
                "name": row.name,
                "subAccountUser": row.address,
                "master": row.master,
                "dexToClearinghouseState": [["", _state(desk, row.address, now_ns)]],
                "spotState": balances(desk, row.address),
                "abstraction": "disabled",
            }
            for row in exchange.family.sub_accounts(address(query))
        ]
        return rows or None

    def details(query: Query, now_ns: int) -> Any:
        view = exchange.vaults.view(address(query, "vaultAddress"))
        user = address(query) if query.get("user") is not None else ""
        return None if view is None else _details_row(desk, view, user, now_ns)

    def equities(query: Query, now_ns: int) -> Any:
        return [
            {
                "vaultAddress": view.address,
                "equity": usd_text(part.equity_micro),
                "lockedUntilTimestamp": ms(part.locked_until_ns),
            }
            for view, part in exchange.vaults.of_user(address(query))
        ]

    def leading(query: Query, now_ns: int) -> Any:
        views = exchange.vaults.led_by(address(query))
        return [{"address": view.address, "name": view.name} for view in views]

    def summaries(query: Query, now_ns: int) -> Any:
        return [_summary_row(view) for view in exchange.vaults.all()]

    return {
        "subAccounts": sub_accounts,
        "subAccounts2": sub_accounts_2,
        "vaultDetails": details,
        "userVaultEquities": equities,
        "leadingVaults": leading,
        "vaultSummaries": summaries,
    }


def _state(desk: Desk, user: str, now_ns: int) -> Any:
    summary = desk.exchange.account_summary(user)
    return account_row(summary, desk.board.instruments, now_ns)


def _summary_row(view: VaultView) -> Any:
    return {
        "name": view.name,
        "vaultAddress": view.address,
        "leader": view.leader,
        "tvl": usd_text(view.equity_micro),
        "isClosed": view.is_closed,
        "relationship": {"type": "normal"},
        "createTimeMillis": ms(view.created_ns),
    }


def _apr(desk: Desk, view: VaultView) -> float:
    """Return the last month's profit over the average value, for a year.

    The venue's formula is not documented. A younger vault counts as a month old, so its first
    hours make no wild number.
    """
    month = dict(desk.exchange.equity.spans(view.address))["month"]
    value_sum = sum(sample.value_micro for sample in month)
    if value_sum <= 0:
        return 0.0
    gain = month[-1].pnl_micro - month[0].pnl_micro
    return gain * len(month) / value_sum * DAYS_PER_YEAR / DAYS_PER_MONTH


def _follower_row(part: VaultFollower, now_ns: int) -> Any:
    pnl = usd_text(part.equity_micro - part.deposited_micro)
    return {
        "user": part.user,
        "vaultEquity": usd_text(part.equity_micro),
        "pnl": pnl,
        "allTimePnl": pnl,
        "daysFollowing": (now_ns - part.entered_ns) // NS_PER_DAY,
        "vaultEntryTime": ms(part.entered_ns),
        "lockupUntil": ms(part.locked_until_ns),
    }


def _details_row(desk: Desk, view: VaultView, user: str, now_ns: int) -> Any:
    leader = next((f for f in view.followers if f.user == view.leader), None)
    own = next((f for f in view.followers if f.user == user), None)
    free = desk.exchange.account_summary(view.address).withdrawable_micro
    mine = min(free, own.equity_micro) if own is not None else 0
    fraction = leader.equity_micro / view.equity_micro if leader and view.equity_micro > 0 else 0.0
    return {
        "name": view.name,
        "vaultAddress": view.address,
        "leader": view.leader,
        "description": view.description,
        "portfolio": portfolio_rows(desk, view.address),
        "apr": _apr(desk, view),
        "followerState": None if own is None else _follower_row(own, now_ns),
        "leaderFraction": fraction,
        "leaderCommission": COMMISSION_PERCENT / 100,
        "followers": [
            _follower_row(f, now_ns) | ({"user": "Leader"} if f.user == view.leader else {})
            for f in view.followers
        ],
        "maxDistributable": free / _MICRO,
        "maxWithdrawable": mine / _MICRO,
        "isClosed": view.is_closed,
        "relationship": {"type": "normal"},
        "allowDeposits": view.allows_deposits,
        "alwaysCloseOnWithdraw": view.closes_on_withdraw,
    }
