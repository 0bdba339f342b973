"""Who earns with an account's orders: builders and referrers.

Source: reference sections 7.4 to 7.6.
"""

from __future__ import annotations

from core.api.actions import (
    ApproveBuilderFeeAction,
    ClaimRewardsAction,
    RegisterReferrerAction,
    SetReferrerAction,
)
from core.model.errors import GridError
from core.model.instrument import decimal_units
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.actions.base import (
    INVALID_AMOUNT,
    Acting,
    Body,
    Handler,
    address,
    default,
)
from core.simulation.wire.requests import error_body

PERCENT_DECIMALS = 3
"""``maxFeeRate`` counts thousandths of a per cent, which are tenths of a basis point."""


def handlers(exchange: SimulatedExchange) -> dict[type, Handler]:
    """Return the handlers of this topic."""

    def approve_builder(acting: Acting, action: ApproveBuilderFeeAction) -> Body:
        tenths_bps = _tenths_bps(action.max_fee_rate)
        if tenths_bps is None:
            return error_body(INVALID_AMOUNT)
        builder = address(action.builder)
        return default(exchange.builders.approve(acting.owner, builder, tenths_bps))

    def claim(acting: Acting, action: ClaimRewardsAction) -> Body:
        return default(exchange.builders.claim(acting.owner))

    def set_referrer(acting: Acting, action: SetReferrerAction) -> Body:
        return default(exchange.referrals.set_referrer(acting.owner, action.code))

    def register_referrer(acting: Acting, action: RegisterReferrerAction) -> Body:
        return default(exchange.referrals.register(acting.owner, action.code))

    return {
        ApproveBuilderFeeAction: approve_builder,
        ClaimRewardsAction: claim,
        SetReferrerAction: set_referrer,
        RegisterReferrerAction: register_referrer,
    }


def _tenths_bps(text: str) -> int | None:
    """Read ``0.01%`` as tenths of a basis point; None if it is no such rate."""
    if not text.endswith("%"):
        return None
    try:
        return decimal_units(text[:-1], PERCENT_DECIMALS, "maxFeeRate")
    except (GridError, ArithmeticError, ValueError):
        return None
