"""The venue's status names and error texts, translated into our closed vocabularies.

The venue adds statuses and rewords errors without notice, so both tables match loosely (suffixes,
parts of a text) and say when they do not know.

Sources: venue documentation (order statuses, error responses) and recorded answers.
"""

from __future__ import annotations

from core.model.codes import OrderStatus, RejectionCode

_STATUSES = {
    "open": OrderStatus.WORKING,
    "triggered": OrderStatus.WORKING,
    "waitingForFill": OrderStatus.WORKING,
    "waitingForTrigger": OrderStatus.WORKING,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "scheduledCancel": OrderStatus.CANCELLED,
    "internalCancel": OrderStatus.CANCELLED,
    "rejected": OrderStatus.REJECTED,
}

# First match wins: the narrower text stands before the wider one.
_REJECTIONS: tuple[tuple[str, RejectionCode], ...] = (
    ("minimum value of", RejectionCode.MIN_NOTIONAL),
    ("too many cumulative requests", RejectionCode.RATE_LIMITED),
    ("too many requests", RejectionCode.RATE_LIMITED),
    ("rate limit", RejectionCode.RATE_LIMITED),
    ("divisible by tick size", RejectionCode.TICK_INVALID),
    ("invalid price", RejectionCode.TICK_INVALID),
    ("invalid size", RejectionCode.SIZE_INVALID),
    ("zero size", RejectionCode.SIZE_INVALID),
    ("larger than half of total supply", RejectionCode.SIZE_INVALID),
    ("away from the reference price", RejectionCode.PRICE_TOO_FAR),
    ("too far from oracle", RejectionCode.PRICE_TOO_FAR),
    ("while at open interest cap", RejectionCode.OPEN_INTEREST_CAPPED),
    ("open interest", RejectionCode.OPEN_INTEREST_CAPPED),
    ("exceed margin tier limit", RejectionCode.MARGIN_INSUFFICIENT),
    ("insufficient margin", RejectionCode.MARGIN_INSUFFICIENT),
    ("sufficient margin", RejectionCode.MARGIN_INSUFFICIENT),
    ("insufficient spot balance", RejectionCode.MARGIN_INSUFFICIENT),
    ("insufficient balance", RejectionCode.MARGIN_INSUFFICIENT),
    ("reduce only order would increase", RejectionCode.REDUCE_ONLY_WOULD_INCREASE),
    ("reduce-only", RejectionCode.REDUCE_ONLY_WOULD_INCREASE),
    ("post only order would have immediately matched", RejectionCode.POST_ONLY_WOULD_MATCH),
    ("only post-only orders allowed", RejectionCode.POST_ONLY_WINDOW),
    ("could not immediately match", RejectionCode.IOC_NO_MATCH),
    ("no liquidity available", RejectionCode.IOC_NO_MATCH),
    ("invalid tp/sl price", RejectionCode.TRIGGER_INVALID),
    ("trigger order", RejectionCode.TRIGGER_INVALID),
    ("too many open orders", RejectionCode.OPEN_ORDERS_TOO_MANY),
    ("never placed, already canceled, or filled", RejectionCode.ORDER_NOT_FOUND),
    ("cannot modify canceled or filled", RejectionCode.ORDER_NOT_FOUND),
    ("trading is halted", RejectionCode.ASSET_HALTED),
    ("unknown asset", RejectionCode.ASSET_UNKNOWN),
    ("unknown coin", RejectionCode.ASSET_UNKNOWN),
    ("asset not found", RejectionCode.ASSET_UNKNOWN),
    ("invalid asset", RejectionCode.ASSET_UNKNOWN),
    ("nonce", RejectionCode.NONCE_INVALID),
    ("duplicate cloid", RejectionCode.CLOID_DUPLICATE),
    ("cloid already", RejectionCode.CLOID_DUPLICATE),
    ("action already expired", RejectionCode.ACTION_EXPIRED),
    ("user or api wallet", RejectionCode.SIGNER_UNKNOWN),
    ("must deposit before performing actions", RejectionCode.SIGNER_UNKNOWN),
    ("require different signature", RejectionCode.SIGNER_UNKNOWN),
    ("pending agent removal", RejectionCode.SIGNER_UNKNOWN),
    ("self trade", RejectionCode.SELF_TRADE),
    ("self-trade", RejectionCode.SELF_TRADE),
)

OLD_ORDER_GONE_TEXT = "Error placing new order during modify"
"""A modify that fails with this text has already removed the old order. Source: recorded."""


def order_status(venue_status: str) -> OrderStatus | None:
    """Return our status for the venue's, ``None`` for a word that fits no rule.

    Names ending in ``Rejected`` and ``Canceled`` are rejections and cancels, whatever precedes.
    """
    known = _STATUSES.get(venue_status)
    if known is not None:
        return known
    if venue_status.endswith("Rejected"):
        return OrderStatus.REJECTED
    if venue_status.endswith("Canceled"):
        return OrderStatus.CANCELLED
    return None


def rejection_code(text: str) -> RejectionCode:
    """Classify an error text; ``UNCLASSIFIED`` if it is not known."""
    lowered = text.lower()
    for part, code in _REJECTIONS:
        if part in lowered:
            return code
    return RejectionCode.UNCLASSIFIED
