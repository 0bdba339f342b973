"""From news to frames: who listens to which channel, and what one message then says.

The pump hands over ticks and outputs when they happen and asks for the rows that somebody wants;
it hands the rows back when they have travelled. What a row is, and how rows that travelled
together become messages, is each channel's business (``channels``). Here a message is encoded once
and goes to all who listen, so the cost of a moment depends on the keys that are subscribed to, not
on who subscribed. Order within a channel is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderOutput, TradeOutput, VenueOutput
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.channels import CHANNELS, read_subscription
from core.simulation.wire.channels.base import Channel, ChannelContext, ChannelSettings
from core.simulation.wire.connections import Connection
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key, Subscription

KeyedRow = tuple[Key, int, Any]
"""A row on its way: whose it is, its place among all rows, and what it says."""
_DEFAULT_SETTINGS = ChannelSettings()
_NONE: dict[Key, Channel] = {}
_encode = msgspec.json.Encoder().encode


class _Line:
    """One key that somebody listens to.

    Each listener has the place of the last row that his snapshot already holds: rows up to there
    may still be travelling and are not told to him again.
    """

    __slots__ = ("channel", "listeners", "snapshot_seq")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.listeners: dict[Connection, int] = {}
        self.snapshot_seq = 0


class Hub:
    """Listeners by key, and the rows and frames they get.

    Parameters
    ----------
    board : MarketBoard
        Market rows.
    exchange : SimulatedExchange
        Account rows.
    settings : ChannelSettings
        Cadences and disputed shapes.
    """

    def __init__(
        self,
        board: MarketBoard,
        exchange: SimulatedExchange,
        settings: ChannelSettings = _DEFAULT_SETTINGS,
    ) -> None:
        self._board = board
        self._context = ChannelContext(board, exchange, settings)
        self._lines: dict[Key, _Line] = {}
        self._of_market: dict[Key, Channel] = {}
        self._of_coin: dict[str, dict[Key, Channel]] = {}
        self._of_owner: dict[str, dict[Key, Channel]] = {}
        self._row_seq = 0
        self.frame_count = 0
        self.encode_count = 0

    @property
    def key_count(self) -> int:
        """How many different keys are listened to."""
        return len(self._lines)

    # --- who -----------------------------------------------------------------------------------

    def read(self, wish: Any) -> Subscription | None:
        """Read a subscription object; ``None`` if the venue would not know it."""
        return read_subscription(wish, self._context)

    def join(self, connection: Connection, subscription: Subscription, now_ns: int) -> list[bytes]:
        """Let a connection hear a key from now on; return the frames of its snapshot."""
        line = self._lines.get(subscription.key) or self._open(subscription)
        frames = self._frames(line.channel, line.channel.snapshot(now_ns))
        # A channel without a snapshot tells everything that arrives from now on.
        line.listeners[connection] = self._row_seq if frames else 0
        line.snapshot_seq = max(line.listeners.values())
        connection.keys[subscription.key] = None
        return frames

    def remove(self, connection: Connection, key: Key) -> None:
        """Stop telling a connection about a key."""
        connection.keys.pop(key, None)
        line = self._lines.get(key)
        if line is None:
            return
        line.listeners.pop(connection, None)
        if not line.listeners:
            self._close(line.channel)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        for key in list(connection.keys):
            self.remove(connection, key)

    def _open(self, subscription: Subscription) -> _Line:
        key = subscription.key
        channel = CHANNELS[subscription.kind](self._context, key)
        line = self._lines[key] = _Line(channel)
        if channel.hears_market:
            self._of_market[key] = channel
        if channel.coin is not None:
            self._of_coin.setdefault(channel.coin, {})[key] = channel
        if channel.owner is not None:
            self._of_owner.setdefault(channel.owner, {})[key] = channel
        return line

    def _close(self, channel: Channel) -> None:
        del self._lines[channel.key]
        self._of_market.pop(channel.key, None)
        for index, name in ((self._of_coin, channel.coin), (self._of_owner, channel.owner)):
            if name is not None:
                del index[name][channel.key]
                if not index[name]:
                    del index[name]

    # --- what changed --------------------------------------------------------------------------

    def tick_rows(self, tick: MarketTick, prints: Sequence[Row]) -> Iterator[KeyedRow]:
        """Yield the rows that listeners want to hear of one tick."""
        for channel in self._of_market.values():
            row = channel.on_tick(tick)
            if row is not None:
                yield self._keyed(channel, row)
        for channel in self._of_coin.get(tick.coin, _NONE).values():
            if prints:
                row = channel.on_prints(list(prints))
                if row is not None:
                    yield self._keyed(channel, row)
            row = channel.on_tick(tick)
            if row is not None:
                yield self._keyed(channel, row)

    def output_rows(self, outputs: Iterable[VenueOutput], ts_ns: int) -> Iterator[KeyedRow]:
        """Yield the rows that users and the public hear of the venue's outputs."""
        owners: dict[str, None] = {}
        coins: dict[str, None] = {}
        for output in outputs:
            if isinstance(output, TradeOutput):
                coins[output.coin] = None
                yield from self._print_rows(output)
                continue
            owners[output.owner] = None
            if isinstance(output, OrderOutput):
                coins[output.order.coin] = None
            for channel in self._of_owner.get(output.owner, _NONE).values():
                for row in channel.on_output(output):
                    yield self._keyed(channel, row)
        for index, names in ((self._of_coin, coins), (self._of_owner, owners)):
            for name in names:
                for channel in index.get(name, _NONE).values():
                    row = channel.on_change(ts_ns)
                    if row is not None:
                        yield self._keyed(channel, row)

    def _print_rows(self, output: TradeOutput) -> Iterator[KeyedRow]:
        printed = self._board.add_trade(output)
        for channel in self._of_coin.get(output.coin, _NONE).values():
            row = channel.on_prints([printed])
            if row is not None:
                yield self._keyed(channel, row)

    def _keyed(self, channel: Channel, row: Any) -> KeyedRow:
        self._row_seq += 1
        return channel.key, self._row_seq, row

    # --- frames --------------------------------------------------------------------------------

    def publish(self, news: Iterable[KeyedRow]) -> None:
        """Merge the rows that arrived together and send them to their listeners."""
        waiting: dict[Key, list[tuple[int, Any]]] = {}
        for key, seq, row in news:
            if key in self._lines:
                # The key moves to the end: messages leave in the order of their newest rows.
                rows = waiting.pop(key, None) or []
                rows.append((seq, row))
                waiting[key] = rows
        for key, rows in waiting.items():
            self._send(self._lines[key], rows)

    def _send(self, line: _Line, rows: list[tuple[int, Any]]) -> None:
        channel = line.channel
        if rows[0][0] > line.snapshot_seq:
            frames = self._frames(channel, channel.data([row for _, row in rows]))
            for connection in line.listeners:
                connection.push_all(frames)
            return
        for connection, known_seq in line.listeners.items():
            new = [row for seq, row in rows if seq > known_seq]
            if new:
                connection.push_all(self._frames(channel, channel.data(new)))

    def _frames(self, channel: Channel, messages: list[Any]) -> list[bytes]:
        self.encode_count += len(messages)
        return [frame(channel.wire_name, data) for data in messages]


def frame(channel: str, data: Any) -> bytes:
    """Encode one message as the venue frames it."""
    return _encode({"channel": channel, "data": data})
