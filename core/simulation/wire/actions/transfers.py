"""Money that moves without a trade. Source: reference sections 7.4 and 7.6."""

from __future__ import annotations

from core.api.actions import (
    AgentSendAssetAction,
    SendAssetAction,
    SpotSendAction,
    SubAccountSpotTransferAction,
    SubAccountTransferAction,
    UsdClassTransferAction,
    UsdSendAction,
    WithdrawAction,
)
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions.base import (
    USD_DECIMALS,
    Acting,
    Body,
    Handler,
    address,
    default,
    token,
    units,
)

SUB_ACCOUNT_WORD = " subaccount:"


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    money = exchange.transfers

    def usd_send(acting: Acting, action: UsdSendAction) -> Body:
        amount = units(action.amount, USD_DECIMALS)
        return default(money.usd_send(acting.owner, address(action.destination), amount))

    def withdraw(acting: Acting, action: WithdrawAction) -> Body:
        address(action.destination)
        return default(money.withdraw(acting.owner, units(action.amount, USD_DECIMALS)))

    def class_transfer(acting: Acting, action: UsdClassTransferAction) -> Body:
        amount, _, sub = action.amount.partition(SUB_ACCOUNT_WORD)
        micro = units(amount, USD_DECIMALS)
        sub_account = address(sub) if sub else ""
        return default(money.class_transfer(acting.owner, micro, action.to_perp, sub_account))

    def spot_send(acting: Acting, action: SpotSendAction) -> Body:
        what = token(exchange, action.token)
        amount = units(action.amount, what.wei_decimals)
        return default(money.spot_send(acting.owner, address(action.destination), what, amount))

    def send_asset(acting: Acting, action: SendAssetAction | AgentSendAssetAction) -> Body:
        what = token(exchange, action.token)
        is_agents = isinstance(action, AgentSendAssetAction)
        send = money.agent_send_asset if is_agents else money.send_asset
        return default(
            send(
                acting.owner,
                address(action.destination),
                action.source_dex,
                action.destination_dex,
                what,
                units(action.amount, what.wei_decimals),
                address(action.from_sub_account) if action.from_sub_account else "",
            )
        )

    def sub_transfer(acting: Acting, action: SubAccountTransferAction) -> Body:
        sub = address(action.sub_account_user)
        return default(money.sub_transfer(acting.owner, sub, action.usd, action.is_deposit))

    def sub_spot_transfer(acting: Acting, action: SubAccountSpotTransferAction) -> Body:
        what = token(exchange, action.token)
        amount = units(action.amount, what.wei_decimals)
        sub = address(action.sub_account_user)
        return default(money.sub_spot_transfer(acting.owner, sub, what, amount, action.is_deposit))

    return {
        UsdSendAction: usd_send,
        WithdrawAction: withdraw,
        UsdClassTransferAction: class_transfer,
        SpotSendAction: spot_send,
        SendAssetAction: send_asset,
        AgentSendAssetAction: send_asset,
        SubAccountTransferAction: sub_transfer,
        SubAccountSpotTransferAction: sub_spot_transfer,
    }
