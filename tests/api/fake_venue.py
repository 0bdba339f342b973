"""A venue on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

Answer = tuple[int, Any]
ORDER_OK = {"status": "ok", "response": {"type": "default"}}


def statuses(*rows: Any, kind: str = "order") -> Answer:
    """An accepted action with these answers to its items."""
    return 200, {"status": "ok", "response": {"type": kind, "data": {"statuses": list(rows)}}}


class FakeVenue:
    """HTTP and websocket server; ``answers`` are used one by one, then ``default`` for ever."""

    def __init__(self) -> None:
        self.infos: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []
        self.info_answers: dict[str, deque[Answer]] = {}
        self.exchange_answers: deque[Answer] = deque()
        self.exchange_default: Answer = (200, ORDER_OK)
        self.on_exchange: Callable[[], Any] | None = None
        self.subscriptions: list[list[dict[str, Any]]] = []
        self.pings = 0
        self.is_acking = True
        self.is_ponging = True
        self.refuse_sockets = 0
        self.sockets: list[web.WebSocketResponse] = []
        self.changed = asyncio.Condition()
        self.url = ""
        self._runner: web.AppRunner | None = None

    @property
    def ws_url(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/ws"

    async def start(self) -> FakeVenue:
        app = web.Application()
        app.router.add_post("/info", self._info)
        app.router.add_post("/exchange", self._exchange)
        app.router.add_get("/ws", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def stop(self) -> None:
        for socket in self.sockets:
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    def answer(self, kind: str, *answers: Answer) -> None:
        self.info_answers.setdefault(kind, deque()).extend(answers)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something this venue saw makes ``condition`` true."""
        async with asyncio.timeout(5):
            async with self.changed:
                await self.changed.wait_for(condition)

    async def send(self, frame: Any) -> None:
        await self.sockets[-1].send_str(json.dumps(frame))

    async def drop(self) -> None:
        """Cut the newest connection without a close frame, as venues do."""
        transport = self.sockets[-1]._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _info(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.infos.append(body)
        await self._notify()
        queue = self.info_answers.get(body["type"])
        if not queue:
            return web.Response(status=422, text=f"no answer for {body['type']}")
        return _response(queue.popleft() if len(queue) > 1 else queue[0])

    async def _exchange(self, request: web.Request) -> web.Response:
        self.actions.append(await request.json())
        await self._notify()
        if self.on_exchange is not None:
            await self.on_exchange()
        answer = self.exchange_answers.popleft() if self.exchange_answers else self.exchange_default
        if answer[0] == 0:
            assert request.transport is not None
            request.transport.abort()
        return _response(answer)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_sockets:
            self.refuse_sockets -= 1
            await self._notify()
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("Websocket connection established.")
        self.sockets.append(socket)
        self.subscriptions.append([])
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._frame(socket, json.loads(message.data))
            await self._notify()
        return socket

    async def _frame(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        if frame["method"] == "ping":
            self.pings += 1
            if self.is_ponging:
                await socket.send_str('{"channel":"pong"}')
            return
        subscription = frame["subscription"]
        self.subscriptions[-1].append(subscription)
        if self.is_acking:
            echo = {**subscription, "nSigFigs": None}
            data = {"method": "subscribe", "subscription": echo}
            await socket.send_str(json.dumps({"channel": "subscriptionResponse", "data": data}))


def _response(answer: Answer) -> web.Response:
    status, body = answer
    if isinstance(body, bytes):
        headers = {"Location": "/exchange"} if status == 307 else None
        return web.Response(status=status or 500, body=body, headers=headers)
    return web.Response(status=status or 500, text=json.dumps(body))
