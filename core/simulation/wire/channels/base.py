"""What every channel answers: how it is asked for, whom it hears, and what it then says.

A class stands for one subscription type. An object of it is one key (type and parameters) and
lives while somebody listens to that key, so whatever a stream must remember ends with it. Channels
make rows; who gets them and when is the hub's and the pump's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from core.model.instrument import Instrument
from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.builder_dexes import FIRST_DEX, builder_dexes
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import VenueOutput
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key, Subscription, Wish, user_of


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the sources dispute or leave open about the streams; reference sections 11.4 and 21.

    Parameters
    ----------
    book_every_ns, book_fast_every_ns : int
        Least time between two books of a key (observed in 2026: 5 s, with ``fast`` 0.5 s; the
        documentation still says 0.5 s). With 0 every change is told.
    mids_every_ns : int
        Least time between two ``allMids`` (observed in 2026: about 2 s).
    contexts_every_ns, fast_contexts_every_ns : int
        Least time between two messages with the contexts of many coins; undocumented.
    states_every_ns : int
        How often the state of an account follows the market where the account itself does
        nothing; undocumented.
    are_snapshots_ascending : bool
        Whether the rows of a snapshot run from the oldest to the newest (recorded for fills).
    snapshot_rows_max : int
        Rows of a snapshot; the newest are kept.
    later_is_snapshot : {"omitted", "false"}
        How messages after a snapshot say that they are none (seen: omitted; documented: false).
    shows_recent_trades : bool
        Whether the first message of ``trades`` holds the recent prints; unconfirmed.
    tells_partial_fills : bool
        Whether ``orderUpdates`` repeats ``open`` with the size that is left after a partial fill;
        unconfirmed.
    candle_shape : {"object", "array"}
        Recorded: an object; documented: an array.
    """

    book_every_ns: int = 5 * NS_PER_S
    book_fast_every_ns: int = 500 * NS_PER_MS
    mids_every_ns: int = 2 * NS_PER_S
    contexts_every_ns: int = 2 * NS_PER_S
    fast_contexts_every_ns: int = 500 * NS_PER_MS
    states_every_ns: int = 5 * NS_PER_S
    are_snapshots_ascending: bool = True
    snapshot_rows_max: int = 2_000
    later_is_snapshot: Literal["omitted", "false"] = "omitted"
    shows_recent_trades: bool = True
    tells_partial_fills: bool = True
    candle_shape: Literal["object", "array"] = "object"


class ChannelContext:
    """Where channels find what they tell.

    Parameters
    ----------
    board : MarketBoard
        Markets.
    exchange : SimulatedExchange
        Accounts.
    settings : ChannelSettings
        Cadences and disputed shapes.
    """

    def __init__(
        self, board: MarketBoard, exchange: SimulatedExchange, settings: ChannelSettings
    ) -> None:
        self.board, self.exchange, self.settings = board, exchange, settings
        self.instruments: Mapping[str, Instrument] = board.instruments
        self.dexs: tuple[str, ...] = (FIRST_DEX, *builder_dexes())

    def coin_of(self, wish: Wish) -> str | None:
        """Return the listed coin a subscription names, else ``None``; case matters."""
        coin = wish.get("coin")
        return coin if isinstance(coin, str) and coin in self.instruments else None

    def dex_of(self, wish: Wish) -> str | None:
        """Return the dex a subscription names, the first without a word; ``None`` if unknown."""
        dex = wish.get("dex")
        if dex is None:
            return FIRST_DEX
        return dex if isinstance(dex, str) and dex in self.dexs else None


class Cadence:
    """Lets something happen at most once per span, beginning with the first time it is asked."""

    def __init__(self, every_ns: int) -> None:
        self._every_ns = every_ns
        self._due_ns = 0

    def is_due(self, ts_ns: int) -> bool:
        """Tell whether it may happen now; if so, the next span begins."""
        if ts_ns < self._due_ns:
            return False
        self._due_ns = ts_ns + self._every_ns
        return True


class Channel(ABC):
    """One key of a subscription type.

    Subclasses say what concerns them by ``coin`` (that market's ticks, prints and book changes),
    ``owner`` (that account's outputs and changes) and ``hears_market`` (the ticks of all coins),
    and override the methods of what they hear.

    Parameters
    ----------
    context : ChannelContext
        Where to look.
    key : tuple
        What `read` made of the subscription.
    """

    kind: ClassVar[str]
    """The subscription's type."""
    coin: str | None = None
    owner: str | None = None
    hears_market: bool = False

    def __init__(self, context: ChannelContext, key: Key) -> None:
        self.context, self.key = context, key
        self.wire_name = self.kind

    @classmethod
    @abstractmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Return the subscription of a client's wish; ``None`` if the venue would not know it."""

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the data of the messages that follow an acknowledgement."""
        return []

    def on_tick(self, tick: MarketTick) -> Any | None:
        """Return the row that one tick makes, if any."""
        return None

    def on_prints(self, prints: list[Row]) -> Any | None:
        """Return the row that public prints of the coin make, if any."""
        return None

    def on_output(self, output: VenueOutput) -> Sequence[Any]:
        """Return the rows that one output of the owner makes."""
        return ()

    def on_change(self, ts_ns: int) -> Any | None:
        """Return the row to tell after outputs changed the owner's account or the coin's book."""
        return None

    def data(self, rows: list[Any]) -> list[Any]:
        """Return the data of the messages for rows that arrived together: here the newest wins."""
        return rows[-1:]


class CoinChannel(Channel):
    """A channel of one coin without further parameters."""

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self.coin: str = key[1]

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``coin``."""
        coin = context.coin_of(wish)
        if coin is None:
            return None
        return Subscription((cls.kind, coin), {"type": cls.kind, "coin": coin})

    @property
    def has_market(self) -> bool:
        """Whether there is anything to tell of the coin."""
        return self.context.board.has_market(self.coin)


class UserChannel(Channel):
    """A channel of one account without further parameters."""

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self.owner: str = key[1]

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``user``."""
        user = user_of(wish)
        if user is None:
            return None
        return Subscription((cls.kind, user), {"type": cls.kind, "user": user}, user)


class UserDexChannel(UserChannel):
    """A channel of one account on one dex; the acknowledgement shows the dex that is meant."""

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self.dex: str = key[2]

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``user`` and ``dex``."""
        user, dex = user_of(wish), context.dex_of(wish)
        if user is None or dex is None:
            return None
        echo = {"type": cls.kind, "user": user, "dex": dex}
        return Subscription((cls.kind, user, dex), echo, user)


class UserRowsChannel(UserChannel):
    """A channel that tells all rows of a kind so far, then each new one; none is ever dropped."""

    rows_key: ClassVar[str]
    """Where the rows stand in the message."""

    @abstractmethod
    def past_rows(self) -> list[Row]:
        """Return the rows so far, oldest first."""

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the newest rows so far, marked as a snapshot."""
        settings = self.context.settings
        rows = self.past_rows()[-settings.snapshot_rows_max :]
        if not settings.are_snapshots_ascending:
            rows.reverse()
        return [{"isSnapshot": True, "user": self.owner, self.rows_key: rows}]

    def data(self, rows: list[Any]) -> list[Any]:
        """Join the rows into one message."""
        message: Row = {"user": self.owner, self.rows_key: rows}
        if self.context.settings.later_is_snapshot == "false":
            message = {"isSnapshot": False, **message}
        return [message]
