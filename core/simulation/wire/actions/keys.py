"""Who may sign for an account: its agents, its co-signers. Source: reference sections 5.7, 6.2."""

from __future__ import annotations

import msgspec

from core.api.actions import ApproveAgentAction, ConvertToMultiSigUserAction
from core.model.ids import is_address
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.wire.actions.base import DEFAULT_OK, Acting, Body, Handler, address, default
from core.simulation.wire.requests import error_body

REVERT = "null"
"""The only text that makes a multi-signature account an ordinary one again (recorded)."""


class _Signers(msgspec.Struct, frozen=True, rename="camel"):
    """The JSON text in ``signers``."""

    authorized_users: list[str]
    threshold: int


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""

    def approve_agent(acting: Acting, action: ApproveAgentAction) -> Body:
        agent = address(action.agent_address)
        return default(exchange.approve_agent(acting.owner, agent, action.agent_name or ""))

    def convert(acting: Acting, action: ConvertToMultiSigUserAction) -> Body:
        if action.signers == REVERT:
            exchange.multi_sig.revert(acting.owner)
            return DEFAULT_OK
        try:
            signers = msgspec.json.decode(action.signers, type=_Signers)
        except msgspec.DecodeError:
            return error_body(texts.MULTI_SIG_SHAPE_INVALID)
        users = [user.lower() for user in signers.authorized_users]
        if not all(map(is_address, users)):
            return error_body(texts.MULTI_SIG_SHAPE_INVALID)
        return default(exchange.multi_sig.convert(acting.owner, users, signers.threshold))

    return {ApproveAgentAction: approve_agent, ConvertToMultiSigUserAction: convert}
