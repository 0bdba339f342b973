"""The venue's own error texts, verbatim, in one place.

Source: the venue's documentation of error responses and recorded answers. Clients match on these
texts, so nothing here is ours to improve; the few texts of our own say so.
"""

from __future__ import annotations

from core.model.instrument import Instrument, micro_text

ORDERS_EMPTY = "Orders are empty."
PRICE_INVALID = "Order has invalid price."
SIZE_INVALID = "Order has invalid size."
SIZE_ZERO = "Order has zero size."
PRICE_TOO_FAR = "Order price cannot be more than 80% away from the reference price"
MAIN_IS_TRIGGER = "Main order cannot be trigger order."
TRIGGER_COUNT = "Unexpected number of trigger orders"
TRADING_HALTED = "Trading is halted."
OPEN_INTEREST_CAPPED = "Order would increase open interest while open interest is capped"
OPEN_INTEREST_AGGRESSIVE = (
    "Order rejected due to price more aggressive than oracle while at open interest cap"
)
OPEN_INTEREST_FAST = "Order would increase open interest too quickly"
TWAP_NOT_FOUND = "TWAP was never placed, already canceled, or filled."
TWAP_REDUCE_ONLY = "Reduce-only TWAP order would increase position."
TWAPS_TOO_MANY = "Exceeded max number of active TWAP orders."
OPEN_ORDERS_TOO_MANY = "Too many open orders"
TIER_EXCEEDED = "Order would cause position to exceed margin tier limit at current leverage"
MODIFY_DEAD = "Cannot modify canceled or filled order"
MODIFY_FAILED = "Error placing new order during modify"
MODIFY_INVALID = "Attempted to modify to invalid new order"
LEVERAGE_INVALID = "Invalid leverage value"
LEVERAGE_SWITCH = "Cannot switch leverage type with open position."
CROSS_NOT_ALLOWED = "Cross margin is not allowed for this asset."
ISOLATED_SHORT = "Isolated position does not have sufficient margin available to decrease leverage."
CROSS_SHORT = "Cross position does not have sufficient margin available to decrease leverage."
NOT_ISOLATED = "Position does not use isolated margin."
WITHDRAWAL_SHORT = "Insufficient balance for withdrawal"
TOKENS_SHORT = "Insufficient balance for token transfer"
ACTIVATION_SHORT = "Insufficient USDC balance for token transfer gas"
SEND_INVALID = "Invalid send"
AGENT_SEND_FOREIGN = "Agent can only send asset to same user or their sub-accounts."
SPOT_REDUCE_ONLY = "Reduce-only is invalid for spot trading."
ASSET_CLASSES_MIXED = "Order action has different asset classes"
SCHEDULE_EARLY = "Scheduled cancel time too early, must be at least 5 seconds from now."
SUB_ACCOUNTS_TOO_MANY = "Too many sub-accounts."
REFERRAL_UNKNOWN = "Referral code not registered"
BUILDER_UNAPPROVED = "Builder fee has not been approved."
BUILDER_POOR = "Builder has insufficient balance to be approved."
VAULT_MAY_NOT = "Vault may not perform this action."
AGENT_EXPIRED = "Agent valid_until already expired."
AGENT_PENDING = "User has pending agent removal"
AGENT_USED = "Extra agent already used."
VAULT_CREATE_SHORT = "Insufficient balance to create vault"
MULTI_SIG_REQUIRED = "Multi-sig required"
MULTI_SIG_SHORT = "Multi-sig threshold not met"
MULTI_SIG_INNER_INVALID = "Invalid multi-sig inner signer"
MULTI_SIG_OUTER_INVALID = "Invalid multi-sig outer signer"
MULTI_SIG_OUTER_UNKNOWN = "Multi-sig outer signer must be an L1 user."
MULTI_SIG_USER_INVALID = "Invalid multi-sig user"
MULTI_SIG_SIGNERS_MANY = "Too many multi-sig signers"
MULTI_SIG_SIGNER_MISSING = "Multi-sig authorized user must exist on L1"
MULTI_SIG_SELF = "Cannot register self as multi-sig authorized user"
MULTI_SIG_THRESHOLD_INVALID = "Invalid multi-sig threshold"
MULTI_SIG_SHAPE_INVALID = "Unexpected error (code=148)"

MARGIN_LOCKED = "Margin cannot be removed from a strict isolated position."
"""Our wording: the rule is documented, its text is not."""
ASSET_UNKNOWN = "Unknown asset"
"""Our wording: the venue's text for an unknown asset id is not documented."""
TPSL_NOT_REDUCING = "TP/SL orders must be reduce-only triggers against the main order"
"""Our wording: the venue rejects this in pre-validation with an undocumented text."""
SUB_ACCOUNT_NAME = "Sub-account name must be 1 to 16 characters"
SUB_ACCOUNT_OF_SUB = "Sub-account may not create sub-accounts"
REFERRAL_INVALID = "Invalid referral code"
REFERRAL_TAKEN = "Referral code already registered"
REFERRAL_SET = "Referrer already set"
BUILDER_FEE_HIGH = "Builder fee is too high"
BUILDERS_TOO_MANY = "Too many approved builders"
NO_REWARDS = "No rewards to claim"
VAULT_INVALID = "Invalid vault request"
VAULT_SMALL = "Vault needs an initial deposit of at least $100"
VAULT_CLOSED = "Vault does not accept deposits"
VAULT_LEADER_SHARE = "Vault leader must own at least 5% of the vault"
VAULT_LOCKED = "Vault deposit is locked"
VAULT_NOT_FLAT = "Vault must have no positions and orders to be closed"
"""Our wording, from `SUB_ACCOUNT_NAME` on: the rules are documented, their texts are not."""
AGENT_NAME_LONG = "Agent name must be at most 16 characters"
"""Our wording: the limit is documented, its text is not."""


def with_asset(text: str, instrument: Instrument) -> str:
    """Append the suffix that today's in-band order errors carry."""
    return f"{text} asset={instrument.asset}"


def tick_invalid(instrument: Instrument) -> str:
    """Text of ``tickRejected``."""
    return with_asset("Price must be divisible by tick size.", instrument)


def notional_too_small(instrument: Instrument, minimum_micro: int) -> str:
    """Text of ``minTradeNtlRejected``."""
    text = f"Order must have minimum value of ${micro_text(minimum_micro)}."
    return with_asset(text, instrument)


def spot_notional_too_small(instrument: Instrument, minimum_micro: int) -> str:
    """Text of ``minTradeNtlRejected`` on a spot pair, all of which are quoted in USDC."""
    text = f"Order must have minimum value of {micro_text(minimum_micro)} USDC."
    return with_asset(text, instrument)


def spot_insufficient(instrument: Instrument) -> str:
    """Text of ``insufficientSpotBalanceRejected``."""
    return with_asset("Insufficient spot balance", instrument)


def margin_insufficient(instrument: Instrument) -> str:
    """Text of ``perpMarginRejected``."""
    return with_asset("Insufficient margin to place order.", instrument)


def reduce_only_increases(instrument: Instrument) -> str:
    """Text of ``reduceOnlyRejected``."""
    return with_asset("Reduce only order would increase position.", instrument)


def post_only_matches(instrument: Instrument, bid_px: int, ask_px: int) -> str:
    """Text of ``badAloPxRejected``; an empty side reads 0."""
    bbo = f"{instrument.px_text(bid_px)}@{instrument.px_text(ask_px)}"
    text = f"Post only order would have immediately matched, bbo was {bbo}."
    return with_asset(text, instrument)


def ioc_no_match(instrument: Instrument) -> str:
    """Text of ``iocCancelRejected``."""
    text = "Order could not immediately match against any resting orders."
    return with_asset(text, instrument)


def market_no_liquidity(instrument: Instrument) -> str:
    """Text of ``marketOrderNoLiquidityRejected``."""
    return with_asset("No liquidity available for market order.", instrument)


def trigger_invalid(instrument: Instrument) -> str:
    """Text of ``badTriggerPxRejected``."""
    return with_asset("Invalid TP/SL price.", instrument)


def order_not_found(instrument: Instrument) -> str:
    """Text of a cancel whose order is not open."""
    text = "Order was never placed, already canceled, or filled."
    return with_asset(text, instrument)


def post_only_window(spelling: str) -> str:
    """Text of what is refused after an upgrade; both spellings have been seen."""
    return f"Only post-only orders allowed immediately after {spelling}"


def twap_duration_invalid(minutes: int) -> str:
    """Text of a TWAP that is too short or too long."""
    return f"Invalid TWAP duration: {minutes} min(s)"


def twap_too_small(minimum_micro: int) -> str:
    """Text of a TWAP below the least value.

    An older answer went on ``..., which is $10 per minute.``; the documented minimum is a total.
    """
    return f"TWAP order value too small. Min is ${micro_text(minimum_micro)}."


def modify_failed(reason: str) -> str:
    """Text of a modify whose new order failed after the old one was cancelled."""
    return f"{MODIFY_FAILED}: {reason}"


def must_deposit(address: str) -> str:
    """Text for an action of an address that has no account."""
    return f"Must deposit before performing actions. User: {address}"


def signer_unknown(address: str) -> str:
    """Text for a signer that is neither an account nor an agent."""
    return f"User or API Wallet {address} does not exist."


def sub_transfer_invalid(source: str, destination: str) -> str:
    """Text of a sub-account transfer between addresses that do not belong together."""
    return f"Invalid sub-account transfer from {source} to {destination}"


def sub_account_foreign(sub: str, master: str) -> str:
    """Text of an action for a sub-account of somebody else."""
    return f"Sub-account {sub} is not registered to {master}"


def schedule_volume(required_micro: int, traded_micro: int) -> str:
    """Text of the volume gate before ``scheduleCancel``."""
    return (
        "Cannot set scheduled cancel time until enough volume traded. "
        f"Required: ${required_micro // 1_000_000}. Traded: ${cents_text(traded_micro)}."
    )


def sub_account_volume(required_micro: int, traded_micro: int) -> str:
    """Text of the volume gate before ``createSubAccount``."""
    return (
        "Cannot create sub-accounts until enough volume traded. "
        f"Required: ${required_micro // 1_000_000}. Traded: ${cents_text(traded_micro)}."
    )


def referral_volume(required_micro: int, traded_micro: int) -> str:
    """Text of the volume gate before ``registerReferrer``; our wording, after the other gates."""
    return (
        "Cannot register referral code until enough volume traded. "
        f"Required: ${required_micro // 1_000_000}. Traded: ${cents_text(traded_micro)}."
    )


def vault_unknown(address: str) -> str:
    """Text of an address that is no vault or sub-account of the sender."""
    return f"Vault not registered: {address}"


def schedule_count(limit: int) -> str:
    """Text of the daily limit of ``scheduleCancel``."""
    return f"Too many scheduled cancels triggered for the day. Limit is {limit}"


def agents_too_many(limit: int) -> str:
    """Text of the limit on named agents."""
    return f"Too many extra agents for cumulative volume traded. Current limit is {limit}"


def requests_too_many(used: int, cap: int, volume_micro: int) -> str:
    """Text of the address-based request limit."""
    return (
        f"Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded "
        f"${cents_text(volume_micro)}. Place taker orders to free up 1 request per USDC traded."
    )


def cents_text(micro: int) -> str:
    """Write micro-USDC as dollars with two decimals, rounded down."""
    return f"{micro // 1_000_000}.{micro % 1_000_000 // 10_000:02d}"
