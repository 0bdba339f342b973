"""Ledger rows of the venue: what each kind does to the perpetuals wallet's USDC, signed.

Only kinds whose effect is documented are read; a new kind is the caller's to set aside.

Source: venue documentation, websocket subscriptions (``userNonFundingLedgerUpdates``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.api.number_text import units_rounded
from core.model.errors import GridError

_USDC_DECIMALS = 6


def is_elsewhere(kind: str) -> bool:
    """Tell whether this kind never moves the perpetuals wallet."""
    return kind in _LEDGER_ELSEWHERE


def amount_micro(delta: dict[str, Any], account: str | None) -> int | None:
    """Return what a row moved, from the perpetuals wallet's view (in +, out -), in micro-USDC.

    Parameters
    ----------
    account : str or None
        Lowercase address of the wallet; needed to tell sending from receiving.

    Returns
    -------
    int or None
        ``None`` for a kind this client does not know.

    Raises
    ------
    GridError
        If the row lacks an amount, or the account to judge it by.
    """
    reader = _LEDGER_READERS.get(str(delta.get("type", "")))
    return None if reader is None else reader(delta, account)


def _micro(delta: dict[str, Any], key: str) -> int:
    value = delta.get(key)
    if not isinstance(value, str):
        raise GridError(f"ledger row should carry {key!r} as text, was {value!r}")
    return units_rounded(value, _USDC_DECIMALS)


def _deposit(delta: dict[str, Any], account: str | None) -> int:
    return _micro(delta, "usdc")


def _withdraw(delta: dict[str, Any], account: str | None) -> int:
    return -_micro(delta, "usdc") - _micro(delta, "fee")


def _class_transfer(delta: dict[str, Any], account: str | None) -> int:
    amount = _micro(delta, "usdc")
    return amount if delta.get("toPerp") else -amount


def _between_users(delta: dict[str, Any], account: str | None) -> int:
    """Received, or sent together with its fee; needs to know who we are."""
    if account is None:
        raise GridError("ledger row of a transfer should be read for an account, none is set")
    if str(delta.get("destination", "")).lower() == account:
        return _micro(delta, "usdc")
    return -_micro(delta, "usdc") - (_micro(delta, "fee") if "fee" in delta else 0)


def _into_vault(delta: dict[str, Any], account: str | None) -> int:
    return -_micro(delta, "usdc") - (_micro(delta, "fee") if "fee" in delta else 0)


def _out_of_vault(delta: dict[str, Any], account: str | None) -> int:
    return _micro(delta, "netWithdrawnUsd")


_LEDGER_READERS: dict[str, Callable[[dict[str, Any], str | None], int]] = {
    "deposit": _deposit,
    "withdraw": _withdraw,
    "accountClassTransfer": _class_transfer,
    "internalTransfer": _between_users,
    "subAccountTransfer": _between_users,
    "vaultCreate": _into_vault,
    "vaultDeposit": _into_vault,
    "vaultDistribution": _deposit,
    "vaultLeaderCommission": _deposit,
    "vaultWithdraw": _out_of_vault,
}

# They move spot or staking balances, or describe fills that arrive as fills.
_LEDGER_ELSEWHERE = frozenset(
    {"spotTransfer", "spotGenesis", "cStakingTransfer", "liquidation", "borrowLend"}
)
