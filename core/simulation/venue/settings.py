"""What the simulated venue assumes where the real one is silent, tunable or disputed.

Every field names its default's source; ``docs/simulation-honesty.md`` says which way each
assumption errs. It knows no account and no market.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from core.model.instrument import MICRO_PER_USDC
from core.model.time import NS_PER_DAY, NS_PER_S

RATE_E8 = 100_000_000
"""Fee rates count 10^-8 of notional: 0.045 % is 45 000."""


class FeeTier(msgspec.Struct, frozen=True):
    """Fee rates from a 14-day volume upwards; a negative maker rate is a rebate.

    In that volume a spot trade counts double (venue documentation, Fees).
    """

    volume_micro_min: int
    taker_rate_e8: int
    maker_rate_e8: int
    spot_taker_rate_e8: int = 70_000
    spot_maker_rate_e8: int = 40_000


FEE_TIERS = (
    FeeTier(0, 45_000, 15_000, 70_000, 40_000),
    FeeTier(5_000_000 * MICRO_PER_USDC, 40_000, 12_000, 60_000, 30_000),
    FeeTier(25_000_000 * MICRO_PER_USDC, 35_000, 8_000, 50_000, 20_000),
    FeeTier(100_000_000 * MICRO_PER_USDC, 30_000, 4_000, 40_000, 10_000),
    FeeTier(500_000_000 * MICRO_PER_USDC, 28_000, 0, 35_000, 0),
    FeeTier(2_000_000_000 * MICRO_PER_USDC, 26_000, 0, 30_000, 0),
    FeeTier(7_000_000_000 * MICRO_PER_USDC, 24_000, 0, 25_000, 0),
)
"""Perpetual and spot fees of the venue's documentation (Fees), lowest volume first."""


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Rules and limits of the simulated venue; defaults follow the venue's documentation.

    Parameters
    ----------
    fee_tiers : tuple of FeeTier
        Lowest volume first; an account's tier is assessed at the end of each UTC day.
    notional_min_micro : int
        Smallest order value; a reduce-only order that covers the whole position is exempt.
    price_band : float
        A limit may be at most this share away from the mark: rejected when
        ``px <= (1 - band) * mark`` or ``mark < (1 - band) * px``.
    reduce_only_oversize : {"cap", "reject"}
        What happens to a reduce-only order larger than the position (observed: capped).
    ioc_partial_status : {"canceled", "filled"}
        Final status of a partly filled IOC order; undocumented.
    queue_share : float
        Share of the outside size that vanished from a level without trading which is taken to
        have stood before a resting order, 0 (cautious) to 1. Above 0 only for recorded books:
        drawn ones change their sizes at every tick, and such noise moves nobody's queue.
    leverage_default : int
        Leverage of a coin nobody set, capped by the instrument's limit; cross.
    activation_fee_micro : int
        What the sender pays on top when his transfer opens an account (documented and recorded:
        one USDC, whatever is sent); deposits from outside open one for free.
    liquidation_partial_micro : int
        Positions above this notional are first liquidated by ``liquidation_partial_percent``.
    adl : bool
        Whether bankrupt positions are closed against opposite ones before the liquidator carries
        the loss.
    twap_count_max : int
        TWAP orders one account may run at once; the limit exists, its number is undocumented.
    modify_places_always : bool
        Whether a modify may place any order without asking for it, as before mid-2026.
    post_only_spelling : str
        How the refusal in a post-only window ends; both have been seen.
    open_interest_caps_micro : dict of str to int
        Notional of open interest by coin from which nobody may increase a position.
    open_interest_rises_micro : dict of str to int
        Notional by coin that open interest may rise within one minute.
    history_count_max : int
        Dead orders remembered per account, and rows of the order history.
    """

    fee_tiers: tuple[FeeTier, ...] = FEE_TIERS
    notional_min_micro: int = 10 * MICRO_PER_USDC
    price_band: float = 0.8
    reduce_only_oversize: Literal["cap", "reject"] = "cap"
    ioc_partial_status: Literal["canceled", "filled"] = "canceled"
    queue_share: float = 0.0
    leverage_default: int = 20
    liquidation_partial_micro: int = 100_000 * MICRO_PER_USDC
    liquidation_partial_percent: int = 20
    liquidation_cool_down_ns: int = 30 * NS_PER_S
    adl: bool = True
    twap_value_min_micro: int = 100 * MICRO_PER_USDC
    twap_minutes_min: int = 5
    twap_minutes_max: int = 7 * 24 * 60
    twap_count_max: int = 10
    twap_slippage_percent: int = 3
    modify_places_always: bool = False
    post_only_spelling: Literal["a network upgrade", "network upgrade"] = "a network upgrade"
    open_interest_caps_micro: dict[str, int] = {}
    open_interest_rises_micro: dict[str, int] = {}
    open_orders_base: int = 1_000
    open_orders_max: int = 5_000
    open_orders_volume_micro: int = 5_000_000 * MICRO_PER_USDC
    requests_base: int = 10_000
    schedule_cancel_volume_micro: int = 1_000_000 * MICRO_PER_USDC
    schedule_cancel_lead_ns: int = 5 * NS_PER_S
    schedule_cancels_per_day: int = 10
    sub_account_volume_micro: int = 100_000 * MICRO_PER_USDC
    sub_accounts_base: int = 10
    sub_accounts_max: int = 50
    sub_account_step_micro: int = 100_000_000 * MICRO_PER_USDC
    request_price_micro: int = 500
    request_trickle_ns: int = 10 * NS_PER_S
    nonce_count_max: int = 100
    nonce_past_ns: int = 2 * NS_PER_DAY
    nonce_future_ns: int = NS_PER_DAY
    agents_named_max: int = 3
    agent_life_ns: int = 90 * NS_PER_DAY
    agent_life_ns_max: int = 180 * NS_PER_DAY
    agent_removal_ns: int = 5 * NS_PER_S
    withdraw_fee_micro: int = MICRO_PER_USDC
    activation_fee_micro: int = MICRO_PER_USDC
    fills_count_max: int = 10_000
    history_count_max: int = 2_000
