"""Account modes, staking and names: accepted where they change nothing, else refused clearly.

Source: reference sections 7.4, 7.6 and 15.7. Only the standard mode is simulated, there is nothing
to stake, and no list shows display names.
"""

from __future__ import annotations

from core.api.actions import (
    AgentEnableDexAbstractionAction,
    AgentSetAbstractionAction,
    LinkStakingUserAction,
    SetDisplayNameAction,
    StakingDepositAction,
    StakingWithdrawAction,
    TokenDelegateAction,
    UserDexAbstractionAction,
    UserPortfolioMarginAction,
    UserSetAbstractionAction,
)
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions.base import DEFAULT_OK, Acting, Body, Handler
from core.simulation.wire.requests import error_body

STANDARD_MODES = frozenset({"disabled", "i"})
MODE_UNKNOWN = "Only the standard account mode is simulated by this venue."
STAKING_UNKNOWN = "Staking is not simulated by this venue."
NAME_INVALID = "Invalid display name"
NAME_LENGTH_MAX = 20


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""
    staking = (
        TokenDelegateAction,
        StakingDepositAction,
        StakingWithdrawAction,
        LinkStakingUserAction,
    )
    return {
        SetDisplayNameAction: _rename,
        AgentSetAbstractionAction: _set_mode,
        UserSetAbstractionAction: _set_mode,
        UserDexAbstractionAction: _enable_mode,
        UserPortfolioMarginAction: _enable_mode,
        AgentEnableDexAbstractionAction: _no_mode,
        **dict.fromkeys(staking, _no_staking),
    }


def _rename(acting: Acting, action: SetDisplayNameAction) -> Body:
    fits = len(action.display_name) <= NAME_LENGTH_MAX
    return DEFAULT_OK if fits else error_body(NAME_INVALID)


def _set_mode(acting: Acting, action: AgentSetAbstractionAction | UserSetAbstractionAction) -> Body:
    return DEFAULT_OK if action.abstraction in STANDARD_MODES else error_body(MODE_UNKNOWN)


def _enable_mode(
    acting: Acting, action: UserDexAbstractionAction | UserPortfolioMarginAction
) -> Body:
    return error_body(MODE_UNKNOWN) if action.enabled else DEFAULT_OK


def _no_mode(acting: Acting, action: AgentEnableDexAbstractionAction) -> Body:
    return error_body(MODE_UNKNOWN)


def _no_staking(acting: Acting, action: object) -> Body:
    return error_body(STAKING_UNKNOWN)
