"""Who stands behind an address and where its money lies: reads that trading itself never needs.

Answers become small structs with integers for money. What the venue does not tell (a query that it
does not know, a shape that is not understood) is a `VenueError` for the caller to pass over or not.

Source: venue documentation, info endpoint; recorded answers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from core.api.number_text import units_rounded
from core.api.reports import read
from core.model.errors import GridError, VenueError
from core.model.time import NS_PER_MS

_USDC_DECIMALS = 6
_USDC = "USDC"


class Info(Protocol):
    """What can ask the info endpoint; `core.api.hyperliquid_api.HyperliquidAPI` is one."""

    async def ask(self, kind: str, **fields: str) -> bytes:
        """Return the raw answer to one query."""
        ...


class NamedAgent(msgspec.Struct, frozen=True):
    """One approved key; ``valid_until_ns`` is ``None`` where the venue tells no end."""

    name: str
    address: str
    valid_until_ns: int | None


class SubAccount(msgspec.Struct, frozen=True):
    """One sub-account and the equity of its perpetuals."""

    name: str
    address: str
    equity_micro: int


class Vault(msgspec.Struct, frozen=True):
    """One vault and who leads it."""

    name: str
    leader: str
    is_closed: bool


class SpotHolding(msgspec.Struct, frozen=True):
    """One token of an account's spot balance; ``total`` and ``hold`` are the venue's texts."""

    coin: str
    total: str
    hold: str

    @property
    def is_usdc(self) -> bool:
        """Whether it is the money that perpetuals are margined with."""
        return self.coin == _USDC

    @property
    def total_micro(self) -> int:
        """Amount in millionths of a token, for USDC in micro-USDC."""
        return units_rounded(self.total, _USDC_DECIMALS)


class LeverageInForce(msgspec.Struct, frozen=True):
    """What an account has set for one coin at the venue."""

    leverage: int
    is_cross: bool


class _AgentRow(msgspec.Struct, rename="camel"):
    name: str
    address: str
    valid_until: int | None = None


class _Sums(msgspec.Struct, rename="camel"):
    account_value: str


class _State(msgspec.Struct, rename="camel"):
    margin_summary: _Sums


class _SubAccountRow(msgspec.Struct, rename="camel"):
    name: str
    sub_account_user: str
    clearinghouse_state: _State


class _VaultRow(msgspec.Struct, rename="camel"):
    name: str
    leader: str
    is_closed: bool = False


class _Balances(msgspec.Struct):
    balances: list[SpotHolding]


class _Leverage(msgspec.Struct):
    type: str
    value: int


class _ActiveAsset(msgspec.Struct):
    leverage: _Leverage


async def named_agents(api: Info, master: str) -> tuple[NamedAgent, ...]:
    """Read the agents that have a name; the unnamed one is not told."""
    rows = read(await api.ask("extraAgents", user=master), list[_AgentRow], "extraAgents")
    return tuple(
        NamedAgent(
            row.name,
            row.address.lower(),
            None if row.valid_until is None else row.valid_until * NS_PER_MS,
        )
        for row in rows
    )


async def sub_accounts(api: Info, master: str) -> tuple[SubAccount, ...]:
    """Read a master's sub-accounts."""
    raw = await api.ask("subAccounts", user=master)
    rows = read(raw, list[_SubAccountRow] | None, "subAccounts") or []  # type: ignore[arg-type]
    return tuple(
        SubAccount(
            row.name,
            row.sub_account_user.lower(),
            _micro(row.clearinghouse_state.margin_summary.account_value),
        )
        for row in rows
    )


async def vault_of(api: Info, address: str) -> Vault | None:
    """Read a vault; ``None`` if the venue knows none at this address."""
    raw = await api.ask("vaultDetails", vaultAddress=address)
    row = read(raw, _VaultRow | None, "vaultDetails")  # type: ignore[arg-type]
    return None if row is None else Vault(row.name, row.leader.lower(), row.is_closed)


async def spot_holdings(api: Info, address: str) -> tuple[SpotHolding, ...]:
    """Read the tokens of an account's spot balance that are more than nothing."""
    raw = await api.ask("spotClearinghouseState", user=address)
    rows = read(raw, _Balances, "spotClearinghouseState").balances
    return tuple(row for row in rows if _micro(row.total))


async def equity_micro(api: Info, address: str) -> int:
    """Read the equity of an account's perpetuals without understanding its positions."""
    raw = await api.ask("clearinghouseState", user=address)
    return _micro(read(raw, _State, "clearinghouseState").margin_summary.account_value)


async def leverage_in_force(api: Info, address: str, coin: str) -> LeverageInForce:
    """Read the leverage and margin mode set for a coin, with or without a position."""
    raw = await api.ask("activeAssetData", user=address, coin=coin)
    setting = read(raw, _ActiveAsset, "activeAssetData").leverage
    return LeverageInForce(setting.value, setting.type == "cross")


def _micro(text: str) -> int:
    try:
        return units_rounded(text, _USDC_DECIMALS)
    except GridError as error:
        raise VenueError(f"an amount of USDC should be a number: {error}") from None
