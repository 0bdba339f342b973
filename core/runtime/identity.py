"""Who signs for whom: key, agent, master, and the vault or sub-account traded for.

The venue says nothing when a key does not belong to an account: it answers as if to a stranger. So
whoever starts to trade asks first. This module only reads; it knows no plan and no market.

Source: venue documentation, nonces and API wallets; recorded answers of ``userRole``.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import msgspec

from core.api.account_reads import (
    NamedAgent,
    SubAccount,
    Vault,
    named_agents,
    sub_accounts,
    vault_of,
)
from core.model.errors import CredentialError, VenueError
from core.model.ids import is_address
from core.model.instrument import usdc
from core.model.time import utc_text
from core.runtime.options import LiveOptions
from core.utils.credential_manager import ACCOUNT, VAULT, CredentialManager

Row = TypeVar("Row")

POOLED_MODES = frozenset({"unifiedAccount", "portfolioMargin"})
"""Modes in which the venue calls the perpetuals' account numbers "not meaningful"."""
MODE_NAMES = {"disabled": "standard", "default": "default (not chosen yet)"}


class Roles(Protocol):
    """What is asked of a client here; `core.api.hyperliquid_api.HyperliquidAPI` is one."""

    async def ask(self, kind: str, **fields: str) -> bytes:
        """Return the raw answer to one info query."""
        ...

    async def fetch_role(self, address: str) -> dict[str, Any]:
        """Say what an address is."""
        ...

    async def fetch_abstraction(self, address: str) -> str:
        """Say in which mode an account is."""
        ...


class IdentityNode(msgspec.Struct, frozen=True):
    """One address of the identity graph and those that hang on it.

    ``relation`` says what it is to the node above, ``facts`` what the venue tells of it.
    """

    relation: str
    address: str
    facts: tuple[str, ...] = ()
    children: tuple[IdentityNode, ...] = ()
    is_traded: bool = False


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A key that may trade for an account, and everything found on the way.

    ``valid_until_ns`` is when the agent's approval ends, ``None`` where the venue does not tell
    (an unnamed agent, the master's own key).
    """

    signer: str
    master: str
    traded: str
    kind: str
    agent_name: str
    valid_until_ns: int | None
    agents: tuple[NamedAgent, ...]
    sub_accounts: tuple[SubAccount, ...]
    vault: Vault | None
    mode: str


def account_of(options: LiveOptions, credentials: CredentialManager) -> str:
    """Return the address of the master account, lowercase."""
    if options.account is None:
        return credentials.account()
    account = options.account.lower()
    if not is_address(account):
        raise CredentialError(
            f"account should be 0x and 40 hex digits, was {account!r}; it is the master address, "
            f"not the agent's; set {ACCOUNT} or --account"
        )
    return account


async def check_signer(
    api: Roles, signer: str, account: str, traded: str | None = None
) -> tuple[str, Vault | None]:
    """Make sure the venue takes this key for this account, before anything is signed for it.

    Parameters
    ----------
    account : str
        The master: whose agent the key is.
    traded : str, optional
        Vault or sub-account to act for; the master itself by default.

    Returns
    -------
    kind : str
        What is traded: ``account``, ``sub-account`` or ``vault``.
    vault : Vault or None

    Raises
    ------
    CredentialError
        If the key is nobody's or another's agent, or the master may not act for ``traded``.
    """
    if signer != account:
        await _check_agent(api, signer, account)
    if traded in (None, account):
        return "account", None
    assert traded is not None
    role = await api.fetch_role(traded)
    kind = role.get("role")
    if kind == "subAccount":
        owner = str(role.get("data", {}).get("master", "")).lower()
        if owner == account:
            return "sub-account", None
        raise CredentialError(
            f"{VAULT} should be a sub-account of {account}, was one of {owner}; set {ACCOUNT} to "
            "that master and use an agent of it"
        )
    if kind == "vault":
        vault = await _vault_or_none(api, traded)
        if vault is None or vault.leader == account:
            return "vault", vault
        raise CredentialError(
            f"{VAULT} should be a vault led by {account}, is led by {vault.leader}; only its "
            "leader may trade for it"
        )
    raise CredentialError(
        f"{VAULT} should be a vault or sub-account of {account}, but the venue knows {traded} as "
        f"{kind or 'missing'!r}; correct it, or leave it empty to trade for the master"
    )


async def _check_agent(api: Roles, signer: str, account: str) -> None:
    role = await api.fetch_role(signer)
    if role.get("role") == "agent":
        master = str(role.get("data", {}).get("user", "")).lower()
        if master == account:
            return
        raise CredentialError(
            f"agent {signer} should belong to account {account}, belongs to {master}; "
            f"approve an agent for the account, or set {ACCOUNT} to its master"
        )
    raise CredentialError(
        f"key should be an agent approved by {account}, but the venue knows {signer} as "
        f"{role.get('role', 'missing')!r}; approve it there, then start again"
    )


async def _vault_or_none(api: Roles, address: str) -> Vault | None:
    """Read a vault; its leader stays unknown where the venue does not tell."""
    try:
        return await vault_of(api, address)
    except VenueError:
        return None


async def check_mode(api: Roles, account: str) -> str:
    """Make sure that equity and margin of the perpetuals account can be believed; return the mode.

    Source: venue documentation, account abstraction modes.
    """
    mode = await api.fetch_abstraction(account)
    if mode in POOLED_MODES:
        raise CredentialError(
            f"account {account} should be in standard mode, was in {mode}, where margin is shared "
            f"with spot and its equity cannot be told; switch it in the venue's web app, or trade "
            f"from another account"
        )
    return mode


async def identify(api: Roles, signer: str, account: str, traded: str) -> Identity:
    """Follow a key to the account it trades for.

    Raises
    ------
    CredentialError
        If it may not, or the account's mode is not one that can be traded.
    VenueError
        If the venue does not answer.
    """
    kind, vault = await check_signer(api, signer, account, traded)
    mode = await check_mode(api, traded)
    agents = await _told(named_agents(api, account))
    own = next((agent for agent in agents if agent.address == signer), None)
    return Identity(
        signer=signer,
        master=account,
        traded=traded,
        kind=kind,
        agent_name="" if own is None else own.name,
        valid_until_ns=None if own is None else own.valid_until_ns,
        agents=agents,
        sub_accounts=await _told(sub_accounts(api, account)),
        vault=vault,
        mode=mode,
    )


async def _told(rows: Awaitable[tuple[Row, ...]]) -> tuple[Row, ...]:
    """Return what is only good to know, or nothing where the venue does not tell it."""
    try:
        return await rows
    except VenueError:
        return ()


def identity_graph(identity: Identity) -> IdentityNode:
    """Draw an identity as a tree: the key on top, what it trades for marked."""
    master = IdentityNode(
        "master account",
        identity.master,
        (f"mode: {MODE_NAMES.get(identity.mode, identity.mode)}",),
        (*_other_agents(identity), *_accounts_below(identity)),
        identity.traded == identity.master,
    )
    if identity.signer == identity.master:
        return IdentityNode(
            "key: the master's own, which can withdraw", identity.signer, (), (master,)
        )
    name = f"agent {identity.agent_name!r}" if identity.agent_name else "agent without a name"
    return IdentityNode(
        f"key: {name}", identity.signer, (_expiry_text(identity.valid_until_ns),), (master,)
    )


def _other_agents(identity: Identity) -> tuple[IdentityNode, ...]:
    return tuple(
        IdentityNode(f"other agent {a.name!r}", a.address, (_expiry_text(a.valid_until_ns),))
        for a in identity.agents
        if a.address != identity.signer
    )


def _accounts_below(identity: Identity) -> tuple[IdentityNode, ...]:
    nodes = [
        IdentityNode(
            f"sub-account {s.name!r}",
            s.address,
            (f"{usdc(s.equity_micro):.2f} USDC in perpetuals",),
            (),
            s.address == identity.traded,
        )
        for s in identity.sub_accounts
    ]
    if identity.kind == "vault":
        name = "" if identity.vault is None else f" {identity.vault.name!r}"
        facts = ("closed",) if identity.vault is not None and identity.vault.is_closed else ()
        nodes.append(IdentityNode(f"vault{name}", identity.traded, facts, (), True))
    return tuple(nodes)


def _expiry_text(valid_until_ns: int | None) -> str:
    if valid_until_ns is None:
        return "end of approval not told by the venue"
    return f"approved until {utc_text(valid_until_ns)}"
