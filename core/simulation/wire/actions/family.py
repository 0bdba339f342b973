"""Sub-accounts and vaults on the wire. Source: reference sections 7.1 and 7.4."""

from __future__ import annotations

from core.api.actions import (
    CreateSubAccountAction,
    CreateVaultAction,
    SubAccountModifyAction,
    VaultDistributeAction,
    VaultModifyAction,
    VaultTransferAction,
)
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions.base import Acting, Body, Handler, address, answered, default


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    family, vaults = exchange.family, exchange.vaults

    def create(acting: Acting, action: CreateSubAccountAction) -> Body:
        return answered("createSubAccount", family.create_sub_account(acting.owner, action.name))

    def rename(acting: Acting, action: SubAccountModifyAction) -> Body:
        sub = address(action.sub_account_user)
        return default(family.rename(acting.owner, sub, action.name))

    def open_vault(acting: Acting, action: CreateVaultAction) -> Body:
        result = vaults.create(acting.owner, action.name, action.description, action.initial_usd)
        return answered("createVault", result)

    def transfer(acting: Acting, action: VaultTransferAction) -> Body:
        move = vaults.deposit if action.is_deposit else vaults.withdraw
        return default(move(acting.owner, address(action.vault_address), action.usd))

    def modify(acting: Acting, action: VaultModifyAction) -> Body:
        return default(
            vaults.configure(
                acting.owner,
                address(action.vault_address),
                action.allow_deposits,
                action.always_close_on_withdraw,
            )
        )

    def distribute(acting: Acting, action: VaultDistributeAction) -> Body:
        vault = address(action.vault_address)
        return default(vaults.distribute(acting.owner, vault, action.usd))

    return {
        CreateSubAccountAction: create,
        SubAccountModifyAction: rename,
        CreateVaultAction: open_vault,
        VaultTransferAction: transfer,
        VaultModifyAction: modify,
        VaultDistributeAction: distribute,
    }
