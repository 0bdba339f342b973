"""One order request to signed JSON bytes: ours, the official SDK, and bare libsecp256k1."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import coincurve
import msgspec
from eth_account import Account
from hyperliquid.utils.signing import (
    order_request_to_order_wire,
    order_wires_to_order_action,
    sign_l1_action,
)

from benchmarks.timing import Contestant, Timing, race
from core.api.actions import OrderAction
from core.api.rest_client import check_request, signed_request
from core.api.signing import Signer
from core.api.trading_actions import LimitSpec, OrderType, OrderWire
from core.model.instrument import Instrument

PRIVATE_KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
NONCE = 1_700_000_000_123
CALLS_FAST = 2_000
CALLS_SLOW = 40
"""The SDK's default backend takes milliseconds a call; fewer calls, as many rounds."""

INSTRUMENT = Instrument(coin="ETH", asset=1, sz_decimals=4, leverage_max=25)
PX, LOTS = 167_010, 147


def run() -> list[Timing]:
    """Race all contestants in one process."""
    _check_equal()
    return race(
        [
            Contestant("nova: order to signed JSON bytes", nova_bytes, CALLS_FAST),
            Contestant("nova: the same, and its own signer recovered", _checked, CALLS_FAST),
            Contestant("bare libsecp256k1: one recoverable signature", _bare(), CALLS_FAST),
            Contestant("official SDK with coincurve", _sdk("CoinCurve"), CALLS_SLOW * 5),
            Contestant("official SDK without coincurve", _sdk("Native"), CALLS_SLOW),
        ]
    )


SIGNER = Signer(PRIVATE_KEY)


def nova_bytes() -> bytes:
    """Turn an order in integer units into the bytes that are posted."""
    order = OrderWire(
        INSTRUMENT.asset,
        True,
        INSTRUMENT.px_text(PX),
        INSTRUMENT.lots_text(LOTS),
        False,
        OrderType(limit=LimitSpec("Ioc")),
    )
    action = OrderAction(orders=[order], grouping="na")
    return signed_request(action, SIGNER, NONCE, is_mainnet=True)


def _checked() -> None:
    check_request(nova_bytes(), SIGNER.address, is_mainnet=True)


def _bare() -> Callable[[], object]:
    key = coincurve.PrivateKey(bytes.fromhex(PRIVATE_KEY[2:]))
    digest = bytes(range(32))
    return lambda: key.sign_recoverable(digest, hasher=None)


def _sdk(backend: str) -> Callable[[], bytes]:
    """Return the SDK's way: its own functions, then the JSON it posts.

    The library under it reads the wanted backend from the environment for every key it makes.
    """
    wallet = Account.from_key(PRIVATE_KEY)
    backend_class = f"eth_keys.backends.{backend}ECCBackend"
    request: Any = {
        "coin": "ETH",
        "is_buy": True,
        "sz": 0.0147,
        "limit_px": 1670.1,
        "order_type": {"limit": {"tif": "Ioc"}},
        "reduce_only": False,
    }

    def work() -> bytes:
        os.environ["ECC_BACKEND_CLASS"] = backend_class
        wire = order_request_to_order_wire(request, INSTRUMENT.asset)
        action = order_wires_to_order_action([wire])
        signature = sign_l1_action(wallet, action, None, NONCE, None, True)
        return msgspec.json.encode(
            {"action": action, "nonce": NONCE, "signature": signature, "vaultAddress": None}
        )

    return work


def _check_equal() -> None:
    """Refuse to compare contestants that do not sign the same thing."""
    theirs = msgspec.json.decode(_sdk("CoinCurve")())
    ours = msgspec.json.decode(nova_bytes())
    assert ours["signature"] == theirs["signature"], f"{ours} should equal {theirs}"
