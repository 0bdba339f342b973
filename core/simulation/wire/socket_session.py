"""One websocket session: subscribe, unsubscribe, ping and post, in the venue's words.

Acknowledgements and snapshots travel like market news: they arrive after the feed latency and in
their place among the other frames. Source: reference section 11.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from core.simulation.wire.connections import Connection
from core.simulation.wire.hub import Hub, frame
from core.simulation.wire.pump import MarketPump
from core.simulation.wire.requests import Answer
from core.simulation.wire.subscriptions import Key, Subscription, parse_subscription

USERS_MAX = 10
SUBSCRIPTIONS_MAX = 1_000
POSTS_MAX = 100
PONG = b'{"channel":"pong"}'


class RequestDoor(Protocol):
    """The two REST paths, as posts use them."""

    async def info(self, raw: bytes, ip: str) -> Answer:
        """Answer a query."""
        ...

    async def exchange(self, raw: bytes, ip: str) -> Answer:
        """Carry out an action."""
        ...


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
    coins : frozenset of str
        The listed coins.
    ip : str
        The client's address, for its limits.
    """

    def __init__(
        self,
        connection: Connection,
        hub: Hub,
        pump: MarketPump,
        door: RequestDoor,
        *,
        coins: frozenset[str],
        ip: str,
    ) -> None:
        self._connection, self._hub, self._pump, self._door = connection, hub, pump, door
        self._coins, self._ip = coins, ip
        self._wanted: dict[Key, Subscription] = {}
        self._posts: set[asyncio.Task[None]] = set()

    def handle(self, text: str) -> None:
        """React to one message of the client."""
        message = _decoded(text)
        match message.get("method"):
            case "ping":
                self._connection.push(PONG)
            case "subscribe" if "subscription" in message:
                self._subscribe(message["subscription"])
            case "unsubscribe" if "subscription" in message:
                self._unsubscribe(message["subscription"])
            case "post" if type(message.get("id")) is int:
                self._post(message["id"], message.get("request"))
            case _:
                self._error(f"Error parsing JSON into valid websocket request: {text}")

    def close(self) -> None:
        """Forget the client."""
        for task in self._posts:
            task.cancel()
        self._hub.leave(self._connection)
        self._connection.cut()

    def _error(self, text: str) -> None:
        self._connection.push(frame("error", text))

    def _subscribe(self, wish: Any) -> None:
        subscription = parse_subscription(wish, self._coins)
        shown = msgspec.json.encode(wish).decode()
        if subscription is None:
            self._error(f"Invalid subscription {shown}")
            return
        if subscription.key in self._wanted:
            self._error(f"Already subscribed: {shown}")
            return
        users = {s.user for s in self._wanted.values()} | {subscription.user}
        if len(users - {None}) > USERS_MAX:
            self._error(f"Cannot track more than {USERS_MAX} total users.")
            return
        if len(self._wanted) >= SUBSCRIPTIONS_MAX:
            self._error(f"Cannot track more than {SUBSCRIPTIONS_MAX} subscriptions.")
            return
        self._wanted[subscription.key] = subscription
        self._pump.tell_later(lambda now_ns: self._confirm(subscription, now_ns))

    def _confirm(self, subscription: Subscription, now_ns: int) -> None:
        if self._connection.is_cut or subscription.key not in self._wanted:
            return
        self._connection.push(_ack("subscribe", subscription))
        for snapshot in self._hub.snapshot(subscription, now_ns):
            self._connection.push(snapshot)
        self._hub.add(self._connection, subscription)

    def _unsubscribe(self, wish: Any) -> None:
        subscription = parse_subscription(wish, self._coins)
        shown = msgspec.json.encode(wish).decode()
        if subscription is None:
            self._error(f"Invalid subscription {shown}")
            return
        if self._wanted.pop(subscription.key, None) is None:
            self._error(f"Already unsubscribed: {shown}")
            return
        self._hub.remove(self._connection, subscription.key)
        self._connection.push(_ack("unsubscribe", subscription))

    def _post(self, number: int, request: Any) -> None:
        if len(self._posts) >= POSTS_MAX:
            self._error(f"too many pending post requests id={number}")
            return
        task = asyncio.get_running_loop().create_task(self._answer_post(number, request))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _answer_post(self, number: int, request: Any) -> None:
        kind = request.get("type") if isinstance(request, dict) else None
        payload = msgspec.json.encode(request.get("payload")) if kind else b""
        if kind == "info":
            answer = await self._door.info(payload, self._ip)
        elif kind == "action":
            answer = await self._door.exchange(payload, self._ip)
        else:
            self._error(f"Error parsing JSON into valid websocket request: {request!r}")
            return
        response: dict[str, Any]
        if answer.status != 200:
            response = {"type": "error", "payload": f"{answer.status} {answer.body.decode()}"}
        elif kind == "info":
            data = {"type": request["payload"]["type"], "data": msgspec.Raw(answer.body)}
            response = {"type": "info", "payload": data}
        else:
            response = {"type": "action", "payload": msgspec.Raw(answer.body)}
        self._connection.push(frame("post", {"id": number, "response": response}))


def _decoded(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return message if isinstance(message, dict) else {}


def _ack(method: str, subscription: Subscription) -> bytes:
    return frame("subscriptionResponse", {"method": method, "subscription": subscription.echo})
