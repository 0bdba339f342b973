"""Actions that change an account: settings, sub-accounts, vaults, transfers, agents, multi-sig.

Same rules as `core.api.trading_actions`. User-signed actions are signed as readable typed data over
their own texts, byte for byte; the others are hashed like orders.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.trading_actions import BaseAction, Part

# --- account settings ---------------------------------------------------------------------------


class TopUpIsolatedOnlyMarginAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="topUpIsolatedOnlyMargin"
):
    """Add margin until a strictly isolated position has this leverage."""

    asset: int
    leverage: str


class ReserveRequestWeightAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="reserveRequestWeight"
):
    """Buy requests for 0.0005 USDC each."""

    weight: int
    destination: str | None = None


class EvmUserModifyAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="evmUserModify"
):
    """Choose big or small EVM blocks."""

    using_big_blocks: bool


class SpotDusting(Part, frozen=True, omit_defaults=True, gc=False, rename="camel"):
    """Whether spot dust is left alone."""

    opt_out: bool


class SpotUserAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="spotUser"):
    """Spot account settings."""

    toggle_spot_dusting: SpotDusting


class SetReferrerAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="setReferrer"
):
    """Use a referral code."""

    code: str


class RegisterReferrerAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="registerReferrer"
):
    """Create a referral code."""

    code: str


class SetDisplayNameAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="setDisplayName"
):
    """Name shown on the leaderboard."""

    display_name: str


class ClaimRewardsAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="claimRewards"
):
    """Claim referral rewards."""


class AgentSetAbstractionAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="agentSetAbstraction"
):
    """Account mode, short code: ``i`` off, ``u`` unified, ``p`` portfolio margin."""

    abstraction: str


class AgentEnableDexAbstractionAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="agentEnableDexAbstraction"
):
    """Deprecated account mode."""


class GossipPriorityBidAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="gossipPriorityBid"
):
    """Bid for earlier market data."""

    slot_id: int
    ip: str
    max_gas: int


# --- sub-accounts and vaults --------------------------------------------------------------------


class CreateSubAccountAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="createSubAccount"
):
    """Open a sub-account."""

    name: str


class SubAccountModifyAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="subAccountModify"
):
    """Rename a sub-account."""

    sub_account_user: str
    name: str


class SubAccountTransferAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="subAccountTransfer"
):
    """Move ``usd`` micro-USDC between master and sub-account."""

    sub_account_user: str
    is_deposit: bool
    usd: int


class SubAccountSpotTransferAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="subAccountSpotTransfer"
):
    """Move a spot token between master and sub-account."""

    sub_account_user: str
    is_deposit: bool
    token: str
    amount: str


class CreateVaultAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="createVault"
):
    """Open a vault with a first deposit of ``initial_usd`` micro-USDC."""

    name: str
    description: str
    initial_usd: int
    nonce: int


class VaultTransferAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="vaultTransfer"
):
    """Move ``usd`` micro-USDC into or out of a vault."""

    vault_address: str
    is_deposit: bool
    usd: int


class VaultModifyAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=False, tag="vaultModify"
):
    """Vault settings; an unset flag is hashed as null."""

    vault_address: str
    allow_deposits: bool | None = None
    always_close_on_withdraw: bool | None = None


class VaultDistributeAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="vaultDistribute"
):
    """Pay a vault out; ``usd`` 0 closes it."""

    vault_address: str
    usd: int


class AgentSendAssetAction(
    BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="agentSendAsset"
):
    """Move an asset between the dexes and sub-accounts of one user."""

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: str
    from_sub_account: str
    nonce: int


# --- user-signed actions ------------------------------------------------------------------------


class UserSigned(BaseAction, frozen=True, kw_only=True, omit_defaults=True):
    """Base of actions signed as readable typed data; their texts are signed byte for byte."""

    signature_chain_id: str = msgspec.field(default="", name="signatureChainId")
    hyperliquid_chain: str = msgspec.field(default="", name="hyperliquidChain")


class UsdSendAction(UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="usdSend"):
    """Send perpetuals USDC to another account."""

    destination: str
    amount: str
    time: int


class SpotSendAction(UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="spotSend"):
    """Send a spot token to another account."""

    destination: str
    token: str
    amount: str
    time: int


class WithdrawAction(UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="withdraw3"):
    """Withdraw USDC through the bridge."""

    destination: str
    amount: str
    time: int


class UsdClassTransferAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="usdClassTransfer"
):
    """Move USDC between spot and perpetuals."""

    amount: str
    to_perp: bool
    nonce: int


class SendAssetAction(UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="sendAsset"):
    """General transfer between users, dexes and sub-accounts."""

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: str
    from_sub_account: str
    nonce: int


class ApproveAgentAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="approveAgent"
):
    """Let an agent key act for this account; without a name it is signed with an empty one."""

    agent_address: str
    agent_name: str | None = None
    nonce: int


class ApproveBuilderFeeAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="approveBuilderFee"
):
    """Allow a builder to charge up to a rate."""

    max_fee_rate: str
    builder: str
    nonce: int


class TokenDelegateAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="tokenDelegate"
):
    """Delegate or undelegate stake."""

    validator: str
    wei: int
    is_undelegate: bool
    nonce: int


class StakingDepositAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="cDeposit"
):
    """Move HYPE (``wei`` of 1e-8) from the spot balance into staking."""

    wei: int
    nonce: int


class StakingWithdrawAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="cWithdraw"
):
    """Move HYPE (``wei`` of 1e-8) from staking back to the spot balance."""

    wei: int
    nonce: int


class LinkStakingUserAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="linkStakingUser"
):
    """Let another account's stake discount this account's fees."""

    user: str
    is_finalize: bool
    nonce: int


class UserSetAbstractionAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="userSetAbstraction"
):
    """Account mode, long word."""

    user: str
    abstraction: str
    nonce: int


class UserDexAbstractionAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="userDexAbstraction"
):
    """Deprecated account mode."""

    user: str
    enabled: bool
    nonce: int


class UserPortfolioMarginAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="userPortfolioMargin"
):
    """Switch portfolio margin on or off."""

    user: str
    enabled: bool
    nonce: int


class ConvertToMultiSigUserAction(
    UserSigned, frozen=True, kw_only=True, omit_defaults=True, tag="convertToMultiSigUser"
):
    """Turn the account into a multi-signature one; ``signers`` is JSON text."""

    signers: str
    nonce: int


class WireSignature(Part, frozen=True, omit_defaults=True, gc=False):
    """A signature as the venue writes it: hex texts and 27 or 28."""

    r: str
    s: str
    v: int


class MultiSigPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who acts through whom, and the inner action."""

    multi_sig_user: str
    outer_signer: str
    action: Any


class MultiSigAction(BaseAction, frozen=True, kw_only=True, omit_defaults=True, tag="multiSig"):
    """An action that several keys have signed."""

    signature_chain_id: str
    signatures: list[WireSignature]
    payload: MultiSigPayload
