"""An account's standing with the venue: budgets, fees, builders, referrers, staking.

Nobody stakes here, so staking answers as for an account that does not. Source: reference 10.3.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.model.time import utc_day
from core.simulation.venue.account import VOLUME_DAYS
from core.simulation.venue.records import USDC
from core.simulation.venue.referrals import CODE_VOLUME_MICRO
from core.simulation.wire.queries.base import Desk, Handler, Query, address
from core.simulation.wire.rows import fees_row
from core.simulation.wire.text import ms, usd_text

NO_STAKE = {
    "delegated": "0.0",
    "undelegated": "0.0",
    "totalPendingWithdrawal": "0.0",
    "nPendingWithdrawals": 0,
}


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    exchange = desk.exchange

    def rate_limit(query: Query, now_ns: int) -> Any:
        budget = exchange.rate_budget(address(query))
        return {
            "cumVlm": usd_text(budget.volume_micro),
            "nRequestsUsed": budget.requests_used,
            "nRequestsCap": budget.requests_cap,
            "nRequestsSurplus": budget.requests_surplus,
        }

    def fees(query: Query, now_ns: int) -> Any:
        rates = exchange.fee_rates(address(query))
        own = {day: volumes for day, *volumes in rates.daily_volume_micro}
        today, days = utc_day(now_ns), []
        for day in range(today - VOLUME_DAYS, today + 1):
            date = (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()
            taker, maker = own.get(day, (0, 0))
            days.append((date, taker, maker, desk.board.volume_micro(day)))
        return fees_row(rates, exchange.settings.fee_tiers, days)

    def builder_limit(query: Query, now_ns: int) -> Any:
        return exchange.builders.limit(address(query), address(query, "builder"))

    def builders(query: Query, now_ns: int) -> Any:
        return list(exchange.builders.approved(address(query)))

    def referral(query: Query, now_ns: int) -> Any:
        return referral_row(desk, address(query))

    def no_stake(value: Any) -> Handler:
        def answer(query: Query, now_ns: int) -> Any:
            address(query)
            return value

        return answer

    return {
        "userRateLimit": rate_limit,
        "userFees": fees,
        "maxBuilderFee": builder_limit,
        "approvedBuilders": builders,
        "referral": referral,
        "delegations": no_stake([]),
        "delegatorSummary": no_stake(NO_STAKE),
        "delegatorHistory": no_stake([]),
        "delegatorRewards": no_stake([]),
    }


def referral_row(desk: Desk, user: str) -> Any:
    """Return who brought an account and whom it brought.

    Shape: venue documentation, Info endpoint, referral, and the types of public clients. A
    referrer's share of fees is not simulated, so those sums are 0; what is paid out are fees
    earned as a builder.
    """
    exchange = desk.exchange
    view = exchange.referrals.view(user)
    volume = exchange.rate_budget(user).volume_micro
    sums = {
        "cumVlm": usd_text(volume),
        "unclaimedRewards": "0.0",
        "claimedRewards": usd_text(
            sum(o.amount_micro for o in exchange.ledger(user) if o.kind == "rewardsClaim")
        ),
        "builderRewards": usd_text(exchange.builders.earned_micro(user)),
    }
    state: dict[str, Any] = {"stage": "needToCreateCode"}
    if view.own_code:
        states = [_referred_row(desk, other) for other in view.referred]
        data = {"code": view.own_code, "nReferrals": len(states), "referralStates": states}
        state = {"stage": "ready", "data": data}
    elif volume < CODE_VOLUME_MICRO:
        missing = usd_text(CODE_VOLUME_MICRO - volume)
        state = {"stage": "needToTrade", "data": {"required": missing}}
    by = {"referrer": view.referrer, "code": view.referrer_code} if view.referrer else None
    return {
        "referredBy": by,
        **sums,
        "referrerState": state,
        "rewardHistory": [],
        "tokenToState": [[USDC, sums]],
    }


def _referred_row(desk: Desk, user: str) -> Any:
    """Return one account that was brought; it joined when its money first came."""
    sums = {
        "cumVlm": usd_text(desk.exchange.rate_budget(user).volume_micro),
        "cumRewardedFeesSinceReferred": "0.0",
        "cumFeesRewardedToReferrer": "0.0",
    }
    joined_ns = next((o.ts_ns for o in desk.exchange.ledger(user)), 0)
    return {**sums, "timeJoined": ms(joined_ns), "user": user, "tokenToState": [[USDC, sums]]}
