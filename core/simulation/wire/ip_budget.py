"""The venue's limit per IP address: 1200 weight per minute of the venue's time, for REST requests.

Source: venue documentation, rate limits (reference section 12.1). It counts and refuses; it knows
no answer.
"""

from __future__ import annotations

from core.model.time import NS_PER_MIN

WEIGHT_PER_MINUTE = 1_200
LIGHT = frozenset(
    {
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    }
)
EXPLORER = frozenset({"blockDetails", "txDetails", "userDetails"})
WEIGHT_LIGHT, WEIGHT_ROLE, WEIGHT_EXPLORER, WEIGHT_OTHER = 2, 60, 40, 20
ROWS_PER_WEIGHT = {
    **dict.fromkeys(
        (
            "recentTrades",
            "historicalOrders",
            "userFills",
            "userFillsByTime",
            "fundingHistory",
            "userFunding",
            "userNonFundingLedgerUpdates",
            "nonUserFundingUpdates",
            "twapHistory",
            "userTwapSliceFills",
            "userTwapSliceFillsByTime",
            "delegatorHistory",
            "delegatorRewards",
            "validatorStats",
        ),
        20,
    ),
    "candleSnapshot": 60,
}
ORDERS_PER_WEIGHT = 40
ADDRESSES_MAX = 10_000


def info_weight(kind: str) -> int:
    """Return the weight of an info request, before its rows are known."""
    if kind in LIGHT:
        return WEIGHT_LIGHT
    if kind in EXPLORER:
        return WEIGHT_EXPLORER
    return WEIGHT_ROLE if kind == "userRole" else WEIGHT_OTHER


def rows_weight(kind: str, row_count: int) -> int:
    """Return the additional weight of the rows an info answer holds."""
    per = ROWS_PER_WEIGHT.get(kind)
    return 0 if per is None else row_count // per


def action_weight(count: int) -> int:
    """Return the weight of an action with ``count`` orders, cancels or modifies."""
    return 1 + count // ORDERS_PER_WEIGHT


class IpBudget:
    """Weights used per IP address in the running minute of the venue."""

    def __init__(self, weight_max: int = WEIGHT_PER_MINUTE) -> None:
        self._weight_max = weight_max
        self._minute = -1
        self._used: dict[str, int] = {}

    def use(self, ip: str, weight: int, now_ns: int) -> bool:
        """Spend weight; return false, and spend nothing, if the minute's budget is exhausted."""
        self._turn(now_ns)
        used = self._used.get(ip, 0)
        if used >= self._weight_max:
            return False
        self._used[ip] = used + weight
        return True

    def add(self, ip: str, weight: int, now_ns: int) -> None:
        """Spend weight that became known with the answer."""
        self._turn(now_ns)
        self._used[ip] = self._used.get(ip, 0) + weight

    def used(self, ip: str, now_ns: int) -> int:
        """Return the weight used in the running minute."""
        self._turn(now_ns)
        return self._used.get(ip, 0)

    def _turn(self, now_ns: int) -> None:
        minute = now_ns // NS_PER_MIN
        if minute != self._minute or len(self._used) > ADDRESSES_MAX:
            self._minute = minute
            self._used.clear()
