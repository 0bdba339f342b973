"""What the venue tells of tokens, TWAP orders, sub-accounts, vaults and builders.

Structs only: the parts of the venue fill them, the wire turns them into rows. Token amounts count
the token's own wei (``10**-wei_decimals``), USDC of the perpetuals' side counts micro-USDC.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

USDC = 0
"""Token index of USDC, the quote of every simulated spot pair."""
USDC_WEI_PER_MICRO = 100
"""Spot USDC counts 10^-8, the perpetuals' side 10^-6."""


class VenueRefusal(msgspec.Struct, frozen=True):
    """The venue's no, where a yes would carry a value; ``text`` is its error text."""

    text: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A spot token. A lot of a pair's base is ``10**(wei_decimals - sz_decimals)`` wei."""

    index: int
    name: str
    token_id: str
    sz_decimals: int
    wei_decimals: int

    @property
    def wire_name(self) -> str:
        """How actions name the token: ``NAME:0xid``."""
        return f"{self.name}:{self.token_id}"


class SpotBalance(msgspec.Struct, frozen=True, kw_only=True):
    """One token an account holds; ``hold_wei`` is locked by open spot orders.

    ``entry_micro`` is the cost basis of what is held, in micro-USDC (0 for USDC itself).
    """

    token: int
    total_wei: int
    hold_wei: int
    entry_micro: int


class TwapRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A TWAP order as a client asks for it."""

    coin: str
    is_buy: bool
    lots: int
    reduce_only: bool
    minutes: int
    is_randomized: bool


class TwapStatus(StrEnum):
    """The venue's words for where a TWAP order stands."""

    ACTIVATED = "activated"
    FINISHED = "finished"
    TERMINATED = "terminated"
    ERROR = "error"


class TwapState(msgspec.Struct, frozen=True, kw_only=True):
    """A TWAP order and what it has executed; ``executed_notional`` is the sum of px * lots."""

    twap_id: int
    owner: str
    request: TwapRequest
    executed_lots: int
    executed_notional: int
    started_ns: int


class TwapOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A TWAP order began or ended; ``text`` says why it ended in error."""

    owner: str
    state: TwapState
    status: TwapStatus
    ts_ns: int
    text: str = ""


class SubAccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sub-account of a master."""

    name: str
    address: str
    master: str


class VaultFollower(msgspec.Struct, frozen=True, kw_only=True):
    """One depositor of a vault: his share of its equity and what he put in, net."""

    user: str
    equity_micro: int
    deposited_micro: int
    entered_ns: int
    locked_until_ns: int


class VaultView(msgspec.Struct, frozen=True, kw_only=True):
    """A vault as anybody may see it; the leader is its first follower."""

    address: str
    name: str
    description: str
    leader: str
    created_ns: int
    is_closed: bool
    allows_deposits: bool
    closes_on_withdraw: bool
    equity_micro: int
    followers: tuple[VaultFollower, ...]


class BuilderFee(msgspec.Struct, frozen=True):
    """What an order pays its builder, in tenths of a basis point of notional."""

    builder: str
    tenths_bps: int


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """Who referred an account, and the code it hands out itself; empty where there is none."""

    referrer: str = ""
    referrer_code: str = ""
    own_code: str = ""
    referred: tuple[str, ...] = ()
