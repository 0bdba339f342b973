"""One websocket session: subscribe, unsubscribe, ping and post, in the venue's words.

Acknowledgements and snapshots travel like market news: they arrive after the feed latency and in
their place among the other frames. Source: reference section 11. It knows no socket: text comes
in, frames go to a connection.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from core.simulation.wire.connections import Connection
from core.simulation.wire.hub import Hub, frame
from core.simulation.wire.pump import MarketPump
from core.simulation.wire.requests import Answer
from core.simulation.wire.socket_limits import IpShare
from core.simulation.wire.subscriptions import Key, Subscription

PONG = b'{"channel":"pong"}'
UNREADABLE = "Error parsing JSON into valid websocket request: "
TOO_MANY_MESSAGES = "Too many websocket messages from this address in this minute."
"""Our words: how the venue refuses them is undocumented."""


class RequestDoor(Protocol):
    """The two REST paths, as posts use them."""

    async def info(self, raw: bytes, ip: str) -> Answer:
        """Answer a query."""
        ...

    async def exchange(self, raw: bytes, ip: str) -> Answer:
        """Carry out an action."""
        ...


_NOTHING = msgspec.Raw()


class _Message(msgspec.Struct, frozen=True):
    """What a client sends; which fields it needs depends on ``method``, and empty is no JSON."""

    method: str
    subscription: msgspec.Raw = _NOTHING
    id: int | None = None
    request: msgspec.Raw = _NOTHING


class _Request(msgspec.Struct, frozen=True):
    """What a client posts."""

    type: str
    payload: msgspec.Raw


class _Query(msgspec.Struct, frozen=True):
    """The part of a posted query that its answer repeats."""

    type: str


_messages = msgspec.json.Decoder(_Message)
_requests = msgspec.json.Decoder(_Request)
_queries = msgspec.json.Decoder(_Query)
_MALFORMED = (msgspec.DecodeError, RecursionError)


class SocketSession:
    """What one client said so far, and the reactions.

    Parameters
    ----------
    connection : Connection
        Where frames for the client go.
    hub, pump : Hub, MarketPump
        Subscribers, and the way of messages in venue time.
    door : RequestDoor
        Takes posted requests.
    share : IpShare
        What the client's address may use.
    ip : str
        The client's address, for posted requests.
    """

    def __init__(
        self,
        connection: Connection,
        hub: Hub,
        pump: MarketPump,
        door: RequestDoor,
        *,
        share: IpShare,
        ip: str,
    ) -> None:
        self._connection, self._hub, self._pump, self._door = connection, hub, pump, door
        self._share, self._ip = share, ip
        self._wanted: dict[Key, Subscription] = {}
        self._posts: set[asyncio.Task[None]] = set()

    def greet(self, text: str) -> None:
        """Send plain text, as some of the venue's servers do on a new connection."""
        self._connection.push(text.encode())

    def handle(self, text: str) -> None:
        """React to one text message of the client."""
        if self._connection.is_cut:
            return
        if not self._share.use_message():
            self._error(TOO_MANY_MESSAGES)
            return
        try:
            message = _messages.decode(text)
            self._react(message)
        except _MALFORMED:
            self._error(UNREADABLE + text)

    def handle_binary(self, raw: bytes) -> None:
        """Refuse a binary message: the venue's messages are text."""
        if not self._connection.is_cut:
            text = raw.decode("utf-8", "replace")
            self._error((UNREADABLE if self._share.use_message() else TOO_MANY_MESSAGES) + text)

    def close(self) -> None:
        """Forget the client."""
        for task in self._posts:
            task.cancel()
        for subscription in self._wanted.values():
            self._share.unsubscribe(subscription.user)
        self._wanted.clear()
        self._hub.leave(self._connection)
        self._connection.cut()

    def _react(self, message: _Message) -> None:
        """Do what a message asks for; a decoding error says that it asks for nothing known."""
        match message.method:
            case "ping":
                self._connection.push(PONG)
            case "subscribe":
                self._subscribe(msgspec.json.decode(message.subscription))
            case "unsubscribe":
                self._unsubscribe(msgspec.json.decode(message.subscription))
            case "post" if message.id is not None:
                self._post(message.id, _requests.decode(message.request))
            case _:
                raise msgspec.DecodeError

    def _error(self, text: str) -> None:
        self._connection.push(frame("error", text))

    # --- subscriptions ---------------------------------------------------------------------------

    def _subscribe(self, wish: Any) -> None:
        shown = msgspec.json.encode(wish).decode()
        subscription = self._hub.read(wish)
        if subscription is None:
            self._error(f"Invalid subscription {shown}")
            return
        if subscription.key in self._wanted:
            self._error(f"Already subscribed: {shown}")
            return
        refusal = self._share.subscribe(subscription.user)
        if refusal is not None:
            self._error(refusal)
            return
        self._wanted[subscription.key] = subscription
        self._pump.tell_later(lambda now_ns: self._confirm(subscription, now_ns))

    def _confirm(self, subscription: Subscription, now_ns: int) -> None:
        # Ended in the meantime, and perhaps asked for again: then that request has its own answer.
        is_wanted = self._wanted.get(subscription.key) is subscription
        if self._connection.is_cut or not is_wanted:
            return
        self._connection.push(_ack("subscribe", subscription))
        self._connection.push_all(self._hub.join(self._connection, subscription, now_ns))

    def _unsubscribe(self, wish: Any) -> None:
        shown = msgspec.json.encode(wish).decode()
        asked = self._hub.read(wish)
        if asked is None:
            self._error(f"Invalid subscription {shown}")
            return
        subscription = self._wanted.pop(asked.key, None)
        if subscription is None:
            self._error(f"Already unsubscribed: {shown}")
            return
        self._share.unsubscribe(subscription.user)
        self._hub.remove(self._connection, subscription.key)
        self._connection.push(_ack("unsubscribe", subscription))

    # --- posts -----------------------------------------------------------------------------------

    def _post(self, number: int, request: _Request) -> None:
        if request.type not in ("info", "action"):
            raise msgspec.DecodeError
        if not self._share.begin_post():
            self._error(f"too many pending post requests id={number}")
            return
        task = asyncio.get_running_loop().create_task(self._answer_post(number, request))
        self._posts.add(task)
        task.add_done_callback(self._post_done)

    def _post_done(self, task: asyncio.Task[None]) -> None:
        self._posts.discard(task)
        self._share.end_post()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._pump.on_failure(error)

    async def _answer_post(self, number: int, request: _Request) -> None:
        payload = bytes(request.payload)
        is_info = request.type == "info"
        answer = await (self._door.info if is_info else self._door.exchange)(payload, self._ip)
        response: dict[str, Any]
        if answer.status != HTTPStatus.OK:
            response = {"type": "error", "payload": _status_text(answer)}
        elif is_info:
            kind = _queries.decode(payload).type
            response = {"type": "info", "payload": {"type": kind, "data": msgspec.Raw(answer.body)}}
        else:
            response = {"type": "action", "payload": msgspec.Raw(answer.body)}
        self._connection.push(frame("post", {"id": number, "response": response}))


def _status_text(answer: Answer) -> str:
    """Return what the same request over HTTP would have said, in one line."""
    text = answer.body.decode() if answer.is_text else HTTPStatus(answer.status).phrase
    return f"{answer.status} {text}"


def _ack(method: str, subscription: Subscription) -> bytes:
    return frame("subscriptionResponse", {"method": method, "subscription": subscription.echo})
