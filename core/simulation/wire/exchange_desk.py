"""``POST /exchange``: who signed, whether it may act, and what the venue says.

The venue never checks a signature against an expected address: it rebuilds the bytes, recovers
whoever signed them and looks that address up. So does this desk. Checks run in the venue's order:
signer, expiry, nonce, request budget, then the action itself. It does not match orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from core.api.actions import (
    ActionDecodeError,
    ApproveAgentAction,
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    ModifyAction,
    NoopAction,
    OrderAction,
    OrderWire,
    ScheduleCancelAction,
    UpdateIsolatedMarginAction,
    UpdateLeverageAction,
    UsdSendAction,
    UserAction,
    WithdrawAction,
    decode_action,
)
from core.api.signing import recover_l1, recover_user
from core.model.codes import Grouping, Tif, TriggerKind
from core.model.errors import GridError
from core.model.ids import is_address, is_cloid
from core.model.instrument import Instrument, decimal_units
from core.model.time import NS_PER_MS
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.outputs import (
    AnswerKind,
    OrderAnswer,
    OrderRequest,
    TriggerRequest,
)
from core.simulation.wire.requests import Envelope, RequestError, error_body
from core.simulation.wire.text import lots_text, with_point

EXPIRED_COST = 5
"""An action that dies of its expiry costs five requests (venue documentation, rate limits)."""
ACTION_EXPIRED = "Action already expired"
NONCE_MISMATCH = "Nonce mismatch."
NETWORK_MISMATCH = "Mainnet and testnet require different signature."
BUILDER_UNAPPROVED = "Builder fee has not been approved."
INVALID_AMOUNT = "Invalid amount"
"""Our wording: the venue's text for a malformed amount is not documented."""
DEFAULT_OK = {"status": "ok", "response": {"type": "default"}}

Body = dict[str, Any]


class PreValidationError(Exception):
    """The venue refuses a whole batch with one text."""


class SignedAction(msgspec.Struct, frozen=True):
    """A decoded request with the address that its signature belongs to."""

    envelope: Envelope
    action: Any
    signer: str

    @property
    def count(self) -> int:
        """Orders, cancels or modifies in the action; 1 for any other."""
        for name in ("orders", "cancels", "modifies"):
            items = getattr(self.action, name, None)
            if items is not None:
                return max(1, len(items))
        return 1


class ExchangeDesk:
    """Carries out signed actions.

    Parameters
    ----------
    exchange : SimulatedExchange
        The venue core.
    is_mainnet : bool
        Which network's signatures are accepted; clients of any address but mainnet's sign for
        testnet.
    """

    def __init__(self, exchange: SimulatedExchange, *, is_mainnet: bool = False) -> None:
        self._exchange = exchange
        self._is_mainnet = is_mainnet
        self._by_asset = {i.asset: i for i in exchange.instruments.values()}
        self._handlers: dict[type, Callable[[str, Any], Body]] = {
            OrderAction: self._place,
            CancelAction: self._cancel,
            CancelByCloidAction: self._cancel_by_cloid,
            ModifyAction: self._modify,
            BatchModifyAction: self._batch_modify,
            UpdateLeverageAction: self._update_leverage,
            UpdateIsolatedMarginAction: self._update_isolated_margin,
            ScheduleCancelAction: self._schedule_cancel,
            NoopAction: lambda owner, action: DEFAULT_OK,
            ApproveAgentAction: self._approve_agent,
            UsdSendAction: self._usd_send,
            WithdrawAction: self._withdraw,
        }

    def read(self, envelope: Envelope) -> SignedAction:
        """Decode the action canonically and recover who signed it.

        Raises
        ------
        RequestError
            If action or signature are not of the venue's form.
        """
        try:
            action = decode_action(envelope.action)
            if isinstance(action, dict):
                raise RequestError(f"unknown variant `{action.get('type')}`")
            return SignedAction(envelope, action, self._recover(envelope, action))
        except (ActionDecodeError, ValueError, OverflowError) as error:
            raise RequestError(str(error).rpartition("target type: ")[2]) from None

    def execute(self, signed: SignedAction, now_ns: int) -> Body:
        """Carry out one action at a moment and return the venue's answer."""
        refusal = self._refusal(signed, now_ns)
        if refusal is not None:
            return error_body(refusal)
        owner = self._exchange.resolve_signer(signed.signer)
        assert owner is not None, "invariant: the signer was resolved before"
        handler = self._handlers.get(type(signed.action))
        if handler is None:
            tag = signed.action.__struct_config__.tag
            return error_body(f"Action {tag} is not simulated by this venue.")
        return handler(owner, signed.action)

    # --- who may act ---------------------------------------------------------------------------

    def _recover(self, envelope: Envelope, action: Any) -> str:
        if isinstance(action, UserAction):
            return recover_user(action, envelope.signature)
        return recover_l1(
            action,
            envelope.nonce,
            envelope.signature,
            is_mainnet=self._is_mainnet,
            vault_address=envelope.vault_address,
            expires_after=envelope.expires_after,
        )

    def _refusal(self, signed: SignedAction, now_ns: int) -> str | None:
        exchange, envelope = self._exchange, signed.envelope
        owner = exchange.resolve_signer(signed.signer)
        if owner is None:
            return self._unknown_text(signed)
        if isinstance(signed.action, UserAction):
            text = self._user_signed_refusal(signed, owner)
            if text is not None:
                return text
        if envelope.vault_address is not None:
            return f"Vault not registered: {envelope.vault_address.lower()}"
        if envelope.expires_after is not None and now_ns > envelope.expires_after * NS_PER_MS:
            exchange.use_requests(owner, EXPIRED_COST * signed.count)
            return ACTION_EXPIRED
        is_cancel = isinstance(signed.action, CancelAction | CancelByCloidAction)
        return exchange.use_nonce(signed.signer, envelope.nonce) or exchange.use_requests(
            owner, signed.count, is_cancel=is_cancel
        )

    def _unknown_text(self, signed: SignedAction) -> str:
        if isinstance(signed.action, UserAction):
            return texts.must_deposit(signed.signer)
        return self._exchange.unknown_signer_text(signed.signer)

    def _user_signed_refusal(self, signed: SignedAction, owner: str) -> str | None:
        action = signed.action
        if owner != signed.signer:
            # An agent's signature acts on the agent's own, empty account.
            return texts.must_deposit(signed.signer)
        if action.hyperliquid_chain != ("Mainnet" if self._is_mainnet else "Testnet"):
            return NETWORK_MISMATCH
        own_nonce = action.time if hasattr(action, "time") else action.nonce
        return None if own_nonce == signed.envelope.nonce else NONCE_MISMATCH

    # --- orders --------------------------------------------------------------------------------

    def _place(self, owner: str, action: OrderAction) -> Body:
        if action.builder is not None:
            return error_body(BUILDER_UNAPPROVED)
        if not isinstance(action.grouping, str):
            return error_body("Priority fees are not simulated by this venue.")
        try:
            requests = [self._request(wire) for wire in action.orders]
        except PreValidationError as error:
            return _statuses("order", [{"error": str(error)}])
        answers = self._exchange.place(owner, requests, Grouping(action.grouping))
        return _statuses("order", self._order_statuses(action.orders, answers))

    def _order_statuses(
        self, wires: Sequence[OrderWire], answers: Sequence[OrderAnswer]
    ) -> list[Any]:
        if len(answers) < len(wires):
            # One refusal for the whole batch.
            return [{"error": answer.text} for answer in answers]
        return [
            order_status(answer, self._by_asset[wire.a])
            for wire, answer in zip(wires, answers, strict=True)
        ]

    def _request(self, wire: OrderWire) -> OrderRequest:
        instrument = self._by_asset.get(wire.a)
        if instrument is None:
            raise PreValidationError(f"{texts.ASSET_UNKNOWN} asset={wire.a}")
        if wire.c is not None and not is_cloid(wire.c):
            raise PreValidationError("Invalid cloid")
        try:
            lots = instrument.lots_from_text(wire.s)
        except GridError:
            raise PreValidationError(texts.SIZE_INVALID) from None
        limit, trigger = wire.t.limit, wire.t.trigger
        is_market = limit is not None and limit.tif == "FrontendMarket"
        return OrderRequest(
            coin=instrument.coin,
            is_buy=wire.b,
            px=_px(instrument, wire.p),
            lots=lots,
            reduce_only=wire.r,
            tif=None if limit is None else (Tif.IOC if is_market else Tif(limit.tif)),
            trigger=None
            if trigger is None
            else TriggerRequest(
                trigger.is_market,
                _px(instrument, trigger.trigger_px),
                TriggerKind(trigger.tpsl),
            ),
            cloid=wire.c,
            is_market=is_market,
        )

    def _cancel(self, owner: str, action: CancelAction) -> Body:
        statuses = []
        for cancel in action.cancels:
            coin = self._coin(cancel.a)
            text = self._exchange.cancel(owner, coin, cancel.o) if coin else None
            statuses.append(cancel_status(cancel.a, coin, text))
        return _statuses("cancel", statuses)

    def _cancel_by_cloid(self, owner: str, action: CancelByCloidAction) -> Body:
        statuses = []
        for cancel in action.cancels:
            coin = self._coin(cancel.asset)
            text = self._exchange.cancel_by_cloid(owner, coin, cancel.cloid) if coin else None
            statuses.append(cancel_status(cancel.asset, coin, text))
        return _statuses("cancel", statuses)

    def _coin(self, asset: int) -> str:
        """Return the coin of an asset id, empty if it is not listed."""
        instrument = self._by_asset.get(asset)
        return "" if instrument is None else instrument.coin

    def _modify(self, owner: str, action: ModifyAction) -> Body:
        """A single modify answers without the new order id; its errors refuse the action."""
        try:
            request = self._request(action.order)
        except PreValidationError as error:
            return error_body(str(error))
        answer = self._exchange.modify(owner, action.oid, request, always_place=action.a)
        return error_body(answer.text) if answer.kind is AnswerKind.ERROR else DEFAULT_OK

    def _batch_modify(self, owner: str, action: BatchModifyAction) -> Body:
        try:
            requests = [self._request(modify.order) for modify in action.modifies]
        except PreValidationError as error:
            return _statuses("order", [{"error": str(error)}])
        statuses = []
        for modify, request in zip(action.modifies, requests, strict=True):
            answer = self._exchange.modify(owner, modify.oid, request, always_place=action.a)
            statuses.append(order_status(answer, self._by_asset[modify.order.a]))
        return _statuses("order", statuses)

    # --- settings and money --------------------------------------------------------------------

    def _update_leverage(self, owner: str, action: UpdateLeverageAction) -> Body:
        instrument = self._by_asset.get(action.asset)
        if instrument is None:
            return error_body(f"{texts.ASSET_UNKNOWN} asset={action.asset}")
        return _default(
            self._exchange.update_leverage(owner, instrument.coin, action.leverage, action.is_cross)
        )

    def _update_isolated_margin(self, owner: str, action: UpdateIsolatedMarginAction) -> Body:
        instrument = self._by_asset.get(action.asset)
        if instrument is None:
            return error_body(f"{texts.ASSET_UNKNOWN} asset={action.asset}")
        return _default(self._exchange.update_isolated_margin(owner, instrument.coin, action.ntli))

    def _schedule_cancel(self, owner: str, action: ScheduleCancelAction) -> Body:
        time_ns = None if action.time is None else action.time * NS_PER_MS
        return _default(self._exchange.schedule_cancel(owner, time_ns))

    def _approve_agent(self, owner: str, action: ApproveAgentAction) -> Body:
        agent = action.agent_address.lower()
        return _default(self._exchange.approve_agent(owner, agent, action.agent_name or ""))

    def _usd_send(self, owner: str, action: UsdSendAction) -> Body:
        destination = action.destination.lower()
        amount = _amount_micro(action.amount)
        if amount is None or not is_address(destination):
            return error_body(INVALID_AMOUNT if amount is None else "Invalid destination")
        return _default(self._exchange.transfer(owner, destination, amount))

    def _withdraw(self, owner: str, action: WithdrawAction) -> Body:
        amount = _amount_micro(action.amount)
        if amount is None:
            return error_body(INVALID_AMOUNT)
        return _default(self._exchange.withdraw(owner, amount))


def cancel_status(asset: int, coin: str, text: str | None) -> Any:
    """Write the venue's status of one cancel."""
    if not coin:
        return {"error": f"{texts.ASSET_UNKNOWN} asset={asset}"}
    return "success" if text is None else {"error": text}


def order_status(answer: OrderAnswer, instrument: Instrument) -> Any:
    """Write the venue's status of one order; waiting orders are bare words."""
    if answer.kind is AnswerKind.ERROR:
        return {"error": answer.text}
    if answer.kind in (AnswerKind.WAITING_FOR_FILL, AnswerKind.WAITING_FOR_TRIGGER):
        return answer.kind.value
    row: Body = {}
    if answer.kind is AnswerKind.FILLED:
        row = {
            "totalSz": lots_text(instrument, answer.lots),
            "avgPx": with_point(answer.avg_px),
        }
    row["oid"] = answer.oid
    if answer.cloid is not None:
        row["cloid"] = answer.cloid
    return {answer.kind.value: row}


def _px(instrument: Instrument, text: str) -> int:
    try:
        return instrument.px_from_text(text)
    except GridError:
        raise PreValidationError(texts.tick_invalid(instrument)) from None


def _amount_micro(text: str) -> int | None:
    try:
        amount = decimal_units(text, 6, "amount")
    except GridError:
        return None
    return amount if amount > 0 else None


def _statuses(kind: str, statuses: list[Any]) -> Body:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}


def _default(text: str | None) -> Body:
    return DEFAULT_OK if text is None else error_body(text)
