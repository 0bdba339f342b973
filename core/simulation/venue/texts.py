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
SCHEDULE_EARLY = "Scheduled cancel time too early, must be at least 5 seconds from now."
AGENT_EXPIRED = "Agent valid_until already expired."
AGENT_PENDING = "User has pending agent removal"
AGENT_USED = "Extra agent already used."

ASSET_UNKNOWN = "Unknown asset"
"""Our wording: the venue's text for an unknown asset id is not documented."""
TPSL_NOT_REDUCING = "TP/SL orders must be reduce-only triggers against the main order"
"""Our wording: the venue rejects this in pre-validation with an undocumented text."""
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


def modify_failed(reason: str) -> str:
    """Text of a modify whose new order failed after the old one was cancelled."""
    return f"{MODIFY_FAILED}: {reason}"


def must_deposit(address: str) -> str:
    """Text for an action of an address that has no account."""
    return f"Must deposit before performing actions. User: {address}"


def signer_unknown(address: str) -> str:
    """Text for a signer that is neither an account nor an agent."""
    return f"User or API Wallet {address} does not exist."


def schedule_volume(required_micro: int, traded_micro: int) -> str:
    """Text of the volume gate before ``scheduleCancel``."""
    return (
        "Cannot set scheduled cancel time until enough volume traded. "
        f"Required: ${required_micro // 1_000_000}. Traded: ${cents_text(traded_micro)}."
    )


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
