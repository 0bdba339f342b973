"""The venue's write actions: one name for all of them, their hashed bytes and their canonical form.

An L1 action is signed over its msgpack bytes, and the venue rebuilds those bytes from its own
structs whatever the key order of the request was. So `decode_action` accepts any order and returns
the form that is hashed, and `encode_action` writes it. This module does not sign and does not know
what an action does to an account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec

from core.api.account_actions import (
    AgentEnableDexAbstractionAction,
    AgentSendAssetAction,
    AgentSetAbstractionAction,
    ApproveAgentAction,
    ApproveBuilderFeeAction,
    ClaimRewardsAction,
    ConvertToMultiSigUserAction,
    CreateSubAccountAction,
    CreateVaultAction,
    EvmUserModifyAction,
    GossipPriorityBidAction,
    LinkStakingUserAction,
    MultiSigAction,
    MultiSigPayload,
    RegisterReferrerAction,
    ReserveRequestWeightAction,
    SendAssetAction,
    SetDisplayNameAction,
    SetReferrerAction,
    SpotDusting,
    SpotSendAction,
    SpotUserAction,
    StakingDepositAction,
    StakingWithdrawAction,
    SubAccountModifyAction,
    SubAccountSpotTransferAction,
    SubAccountTransferAction,
    TokenDelegateAction,
    TopUpIsolatedOnlyMarginAction,
    UsdClassTransferAction,
    UsdSendAction,
    UserDexAbstractionAction,
    UserPortfolioMarginAction,
    UserSetAbstractionAction,
    UserSigned,
    VaultDistributeAction,
    VaultModifyAction,
    VaultTransferAction,
    WireSignature,
    WithdrawAction,
)
from core.api.number_text import canonical
from core.api.trading_actions import (
    BatchModifyAction,
    Builder,
    CancelAction,
    CancelByCloidAction,
    CancelByCloidWire,
    CancelWire,
    LimitSpec,
    ModifyAction,
    ModifyWire,
    NoopAction,
    OrderAction,
    OrderType,
    OrderWire,
    PriorityGroup,
    ScheduleCancelAction,
    TriggerSpec,
    TwapCancelAction,
    TwapDetails,
    TwapOrderAction,
    TwapTrigger,
    TwapWire,
    UpdateIsolatedMarginAction,
    UpdateLeverageAction,
    WireGroup,
    WireTif,
)
from core.model.errors import GridError, NovaError

__all__ = [
    "Action",
    "ActionDecodeError",
    "AgentEnableDexAbstractionAction",
    "AgentSendAssetAction",
    "AgentSetAbstractionAction",
    "ApproveAgentAction",
    "ApproveBuilderFeeAction",
    "BatchModifyAction",
    "Builder",
    "CancelAction",
    "CancelByCloidAction",
    "CancelByCloidWire",
    "CancelWire",
    "ClaimRewardsAction",
    "ConvertToMultiSigUserAction",
    "CreateSubAccountAction",
    "CreateVaultAction",
    "EvmUserModifyAction",
    "GossipPriorityBidAction",
    "KnownAction",
    "L1Action",
    "LimitSpec",
    "LinkStakingUserAction",
    "ModifyAction",
    "ModifyWire",
    "MultiSigAction",
    "MultiSigPayload",
    "NoopAction",
    "OrderAction",
    "OrderType",
    "OrderWire",
    "PriorityGroup",
    "RegisterReferrerAction",
    "ReserveRequestWeightAction",
    "ScheduleCancelAction",
    "SendAssetAction",
    "SetDisplayNameAction",
    "SetReferrerAction",
    "SpotDusting",
    "SpotSendAction",
    "SpotUserAction",
    "StakingDepositAction",
    "StakingWithdrawAction",
    "SubAccountModifyAction",
    "SubAccountSpotTransferAction",
    "SubAccountTransferAction",
    "TokenDelegateAction",
    "TopUpIsolatedOnlyMarginAction",
    "TriggerSpec",
    "TwapCancelAction",
    "TwapDetails",
    "TwapOrderAction",
    "TwapTrigger",
    "TwapWire",
    "UpdateIsolatedMarginAction",
    "UpdateLeverageAction",
    "UsdClassTransferAction",
    "UsdSendAction",
    "UserAction",
    "UserDexAbstractionAction",
    "UserPortfolioMarginAction",
    "UserSetAbstractionAction",
    "UserSigned",
    "VaultDistributeAction",
    "VaultModifyAction",
    "VaultTransferAction",
    "WireGroup",
    "WireSignature",
    "WireTif",
    "WithdrawAction",
    "decode_action",
    "encode_action",
]


class ActionDecodeError(NovaError):
    """The bytes are no action the venue knows; the text is what a server may answer (422)."""


L1Action = (
    OrderAction
    | CancelAction
    | CancelByCloidAction
    | ModifyAction
    | BatchModifyAction
    | ScheduleCancelAction
    | UpdateLeverageAction
    | UpdateIsolatedMarginAction
    | TopUpIsolatedOnlyMarginAction
    | TwapOrderAction
    | TwapCancelAction
    | ReserveRequestWeightAction
    | NoopAction
    | EvmUserModifyAction
    | SpotUserAction
    | SetReferrerAction
    | RegisterReferrerAction
    | SetDisplayNameAction
    | ClaimRewardsAction
    | AgentSetAbstractionAction
    | AgentEnableDexAbstractionAction
    | GossipPriorityBidAction
    | CreateSubAccountAction
    | SubAccountModifyAction
    | SubAccountTransferAction
    | SubAccountSpotTransferAction
    | CreateVaultAction
    | VaultTransferAction
    | VaultModifyAction
    | VaultDistributeAction
    | AgentSendAssetAction
)
UserAction = (
    UsdSendAction
    | SpotSendAction
    | WithdrawAction
    | UsdClassTransferAction
    | SendAssetAction
    | ApproveAgentAction
    | ApproveBuilderFeeAction
    | TokenDelegateAction
    | StakingDepositAction
    | StakingWithdrawAction
    | LinkStakingUserAction
    | UserSetAbstractionAction
    | UserDexAbstractionAction
    | UserPortfolioMarginAction
    | ConvertToMultiSigUserAction
)
KnownAction = L1Action | UserAction | MultiSigAction
Action = KnownAction | dict[str, Any]
"""An action with a struct, or an ordered mapping (``type`` first) for one without."""


class _Tag(msgspec.Struct):
    """Just enough of an action to know whether it has a struct."""

    type: str


_KNOWN_TAGS = frozenset(cls.__struct_config__.tag for cls in get_args(KnownAction))
_json_tag = msgspec.json.Decoder(_Tag)
_json_known = msgspec.json.Decoder(KnownAction)
_json_any = msgspec.json.Decoder()
_msgpack = msgspec.msgpack.Encoder()


def encode_action(action: Action) -> bytes:
    """Return the msgpack bytes that are hashed for the L1 signature.

    A mapping is written in its own key order; the caller answers for it.
    """
    return _msgpack.encode(action)


def decode_action(raw: bytes | msgspec.Raw) -> Action:
    """Read an action from JSON in any key order and bring it into canonical form.

    Prices and sizes lose trailing zeros and addresses that are hashed become lowercase, as the
    venue does before hashing. An action without a struct comes back as a mapping in the order of
    the request.

    Raises
    ------
    ActionDecodeError
        If the bytes are no such action.
    """
    try:
        tag = _json_tag.decode(raw).type
        if tag not in _KNOWN_TAGS:
            unknown: dict[str, Any] = _json_any.decode(raw)
            return unknown
        return _canonical(_json_known.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, GridError) as error:
        raise ActionDecodeError(
            f"Failed to deserialize the JSON body into the target type: {error}"
        ) from None


def _canonical(action: KnownAction) -> KnownAction:
    """Return ``action`` in the form the venue hashes."""
    canonicalise = _CANONICALISERS.get(type(action))
    if canonicalise is not None:
        action = canonicalise(action)
    fields = _ADDRESS_FIELDS.get(type(action), ())
    changes = {name: getattr(action, name).lower() for name in fields if getattr(action, name)}
    return msgspec.structs.replace(action, **changes) if changes else action


def _canonical_order(order: OrderWire) -> OrderWire:
    kind = order.t
    if (kind.limit is None) == (kind.trigger is None):
        raise GridError("order type should be either limit or trigger")
    if kind.trigger is not None:
        trigger = msgspec.structs.replace(
            kind.trigger, trigger_px=canonical(kind.trigger.trigger_px)
        )
        kind = OrderType(trigger=trigger)
    cloid = order.c.lower() if order.c is not None else None
    if cloid is not None and not cloid.startswith("0x"):
        # Observed: the venue adds the prefix, so a request signed without it fails.
        cloid = "0x" + cloid
    return OrderWire(
        a=order.a,
        b=order.b,
        p=canonical(order.p),
        s=canonical(order.s),
        r=order.r,
        t=kind,
        c=cloid,
    )


def _canonical_place(action: OrderAction) -> OrderAction:
    builder = action.builder
    return OrderAction(
        orders=[_canonical_order(order) for order in action.orders],
        grouping=action.grouping,
        builder=Builder(builder.b.lower(), builder.f) if builder is not None else None,
    )


def _canonical_modify(action: ModifyAction) -> ModifyAction:
    return ModifyAction(
        oid=_canonical_oid(action.oid), order=_canonical_order(action.order), a=action.a
    )


def _canonical_batch_modify(action: BatchModifyAction) -> BatchModifyAction:
    modifies = [
        ModifyWire(_canonical_oid(modify.oid), _canonical_order(modify.order))
        for modify in action.modifies
    ]
    return BatchModifyAction(modifies=modifies, a=action.a)


def _canonical_oid(oid: int | str) -> int | str:
    return oid.lower() if isinstance(oid, str) else oid


def _canonical_cancel_by_cloid(action: CancelByCloidAction) -> CancelByCloidAction:
    cancels = [CancelByCloidWire(cancel.asset, cancel.cloid.lower()) for cancel in action.cancels]
    return CancelByCloidAction(cancels=cancels, f=action.f)


def _canonical_twap(action: TwapOrderAction) -> TwapOrderAction:
    twap = msgspec.structs.replace(action.twap, s=canonical(action.twap.s))
    return TwapOrderAction(twap=twap, details=action.details)


def _canonical_multi_sig(action: MultiSigAction) -> MultiSigAction:
    payload = action.payload
    return MultiSigAction(
        signature_chain_id=action.signature_chain_id,
        signatures=[_canonical_signature(signature) for signature in action.signatures],
        payload=MultiSigPayload(
            multi_sig_user=payload.multi_sig_user.lower(),
            outer_signer=payload.outer_signer.lower(),
            action=decode_action(msgspec.json.encode(payload.action)),
        ),
    )


def _canonical_signature(signature: WireSignature) -> WireSignature:
    """Drop leading zeros: the texts are hashed (recorded: padded ones fail the outer signature)."""
    try:
        return WireSignature(
            r=hex(int(signature.r, 16)), s=hex(int(signature.s, 16)), v=signature.v
        )
    except ValueError:
        raise GridError("signature r and s should be hex") from None


_CANONICALISERS: dict[type, Callable[[Any], KnownAction]] = {
    OrderAction: _canonical_place,
    ModifyAction: _canonical_modify,
    BatchModifyAction: _canonical_batch_modify,
    CancelByCloidAction: _canonical_cancel_by_cloid,
    TwapOrderAction: _canonical_twap,
    MultiSigAction: _canonical_multi_sig,
}

# Only fields that are addresses to the venue; a user-signed ``destination`` is plain text there.
_ADDRESS_FIELDS: dict[type, tuple[str, ...]] = {
    ReserveRequestWeightAction: ("destination",),
    SubAccountModifyAction: ("sub_account_user",),
    SubAccountTransferAction: ("sub_account_user",),
    SubAccountSpotTransferAction: ("sub_account_user",),
    VaultTransferAction: ("vault_address",),
    VaultModifyAction: ("vault_address",),
    VaultDistributeAction: ("vault_address",),
    AgentSendAssetAction: ("destination",),
    ApproveAgentAction: ("agent_address",),
    ApproveBuilderFeeAction: ("builder",),
    TokenDelegateAction: ("validator",),
    UserSetAbstractionAction: ("user",),
    UserDexAbstractionAction: ("user",),
    UserPortfolioMarginAction: ("user",),
    LinkStakingUserAction: ("user",),
}
