"""The venue's limits and hosts, each with its source; nothing here acts on them.

Sources: *docs* is the venue's documentation (rate limits and user limits, websocket, exchange
endpoint, nonces and API wallets); *SDK* the official Python SDK 0.24.0.
"""

from __future__ import annotations

URL_MAINNET = "https://api.hyperliquid.xyz"
"""Docs. Signing as mainnet follows from exactly this URL, as in the SDK (``exchange.py``)."""

URL_TESTNET = "https://api.hyperliquid-testnet.xyz"
"""Docs."""

IP_WEIGHT_PER_MINUTE = 1200
"""Docs: aggregated weight of REST requests per minute and IP address."""

ACTION_WEIGHT_BASE = 1
ACTION_WEIGHT_ITEMS = 40
"""Docs: an action weighs ``1 + floor(n / 40)`` for ``n`` orders, cancels or modifies."""

BATCH_ITEMS_MAX = ACTION_WEIGHT_ITEMS - 1
"""Ours: the largest batch that still weighs 1."""

INFO_WEIGHT_DEFAULT = 20
INFO_WEIGHTS = {
    "l2Book": 2,
    "allMids": 2,
    "clearinghouseState": 2,
    "orderStatus": 2,
    "spotClearinghouseState": 2,
    "exchangeStatus": 2,
    "userRole": 60,
}
"""Docs: weights of reads; every read not named weighs 20."""

INFO_ROWS_PER_WEIGHT = {
    "recentTrades": 20,
    "historicalOrders": 20,
    "userFills": 20,
    "userFillsByTime": 20,
    "fundingHistory": 20,
    "userFunding": 20,
    "userNonFundingLedgerUpdates": 20,
    "candleSnapshot": 60,
}
"""Docs: rows of the answer that cost one more weight each."""

FILLS_PER_PAGE = 2000
FILLS_KEPT = 10_000
"""Docs, info endpoint: rows of one ``userFillsByTime`` answer, and how many are kept at all."""

ROWS_PER_PAGE = 500
"""Docs, info endpoint: rows of other answers over a time range."""

ADDRESS_REQUESTS_BASE = 10_000
"""Docs: requests of an address before its traded volume counts (one per USDC)."""

WS_SUBSCRIPTIONS_MAX = 1000
"""Docs: subscriptions per IP address."""

WS_SILENCE_SECONDS_MAX = 60
"""Docs: the venue closes a connection on which it has sent nothing for this long."""

WS_PING_SECONDS = 20
"""Ours, within the docs' 60 s; SDK 50 s."""

RECONNECT_SECONDS = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Ours; keeps well under the docs' 30 new connections per minute."""

AGENT_NAME_LENGTH_MAX = 16
"""Docs, nonces and API wallets."""
