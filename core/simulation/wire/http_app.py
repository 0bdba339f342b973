"""The venue over HTTP: its three paths, and the exchange's own beside them.

Requests become calls of the server, answers become responses, and planned trouble strikes here.
It knows no rule of the venue.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from core.model.errors import ConfigError
from core.model.ids import is_address
from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.wire.fault_files import read_plan
from core.simulation.wire.faults import CONNECT, Fault
from core.simulation.wire.request_faults import AnswerFaults, refused
from core.simulation.wire.requests import TOO_MANY_REQUESTS, Answer, json_answer, kind_of
from core.simulation.wire.status_page import render
from core.simulation.wire.time_mode import TimeMode

if TYPE_CHECKING:
    from core.simulation.server import VenueServer

BODY_BYTES_MAX = 1024 * 1024
BODY_SECONDS_MAX = 10.0
"""How long a body may take to arrive."""
FAUCET_USD_MIN = 0.000_001
FAUCET_USD_MAX = 1_000_000_000
TIME_MS_MAX = 10**14
STRUCK_SHOWN_MAX = 1_000
_HEADERS = {"access-control-allow-origin": "*"}


class HttpApp:
    """Routes of one server.

    Parameters
    ----------
    server : VenueServer
        Answers; it also tells the plan of faults.
    """

    def __init__(self, server: VenueServer) -> None:
        self._server = server
        self._answers = AnswerFaults()
        self.counts: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        router = app.router
        router.add_post("/info", self._post_info)
        router.add_post("/exchange", self._post_exchange)
        router.add_get("/ws", self._websocket)
        router.add_post("/faucet", self._post_faucet)
        router.add_get("/clock", self._get_clock)
        router.add_post("/clock", self._post_clock)
        router.add_get("/faults", self._get_faults)
        router.add_post("/faults", self._post_faults)
        router.add_get("/health", self._get_health)
        router.add_get("/", self._get_page)
        return app

    # --- the venue's paths ---------------------------------------------------------------------

    async def _post_info(self, request: web.Request) -> web.Response:
        self.counts["info"] += 1
        raw = await _body(request)
        self._server.note_request()
        if self._server.faults.concerns("info"):
            kind = kind_of("info", raw)
            fault = self._server.faults.decide("info", kind, self._server.now_ns)
            if fault is not None:
                return await self._post_faulty(request, raw, kind, fault, is_info=True)
        return _response(await self._server.info(raw, _ip(request)))

    async def _post_exchange(self, request: web.Request) -> web.Response:
        self.counts["exchange"] += 1
        raw = await _body(request)
        self._server.note_request()
        if self._server.faults.concerns("exchange"):
            kind = kind_of("exchange", raw)
            fault = self._server.faults.decide("exchange", kind, self._server.now_ns)
            if fault is not None:
                return await self._post_faulty(request, raw, kind, fault, is_info=False)
        return _response(await self._server.exchange(raw, _ip(request)))

    async def _post_faulty(
        self, request: web.Request, raw: bytes, kind: str, fault: Fault, *, is_info: bool
    ) -> web.Response:
        server, name = self._server, fault.rule.fault
        answer = refused(fault, _phrase(fault.rule.status))
        if answer is not None:
            return _response(answer)
        if name == "drop_before":
            return _broken_off(request)
        if name == "delay":
            await server.pause(fault.delay_ns)
        if is_info:
            answer = await server.info(raw, _ip(request))
        else:
            answer = await server.exchange(raw, _ip(request), fault)
        if name == "delay_answer":
            await server.pause(fault.delay_ns)
        if name == "drop_after":
            return _broken_off(request)
        answer = self._answers.changed(fault, kind=kind, raw=raw, answer=answer)
        response = _response(answer)
        if name == "clock_skew":
            shown_ns = server.now_ns + fault.rule.skew_ms * NS_PER_MS
            response.headers["Date"] = formatdate(shown_ns / NS_PER_S, usegmt=True)
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        server = self._server
        self.counts["ws"] += 1
        server.note_request()
        fault = None
        if server.faults.concerns("ws"):
            fault = server.faults.decide("ws", CONNECT, server.now_ns)
        if fault is not None:
            answer = refused(fault, _phrase(fault.rule.status))
            if answer is not None:
                return _response(answer)
            if fault.rule.fault == "delay":
                await server.pause(fault.delay_ns)
        ip = _ip(request)
        socket = await server.sockets.serve(
            request, ip, lambda connection: server.open_session(connection, ip)
        )
        return _response(TOO_MANY_REQUESTS) if socket is None else socket

    # --- its own -------------------------------------------------------------------------------

    async def _post_faucet(self, request: web.Request) -> web.Response:
        body = _object(await _body(request))
        user, usd, token = body.get("user"), body.get("usd"), body.get("token")
        if not isinstance(user, str) or not is_address(user.lower()) or not _is_funding(body):
            return _refusal(
                'faucet should get {"user": "0x..", "usd": amount up to '
                f'{FAUCET_USD_MAX}}} or {{"user": "0x..", "token": "HYPE", "amount": "100"}}, '
                f"was {body!r}"
            )
        user = user.lower()
        if usd is not None:
            self._server.faucet(user, float(usd))
        if token is not None:
            problem = self._server.faucet_token(user, token, body["amount"])
            if problem is not None:
                return _refusal(problem)
        return _response(json_answer({"status": "ok", **body, "user": user}))

    async def _get_clock(self, request: web.Request) -> web.Response:
        return _response(json_answer(self._server.clock_facts()))

    async def _post_clock(self, request: web.Request) -> web.Response:
        server = self._server
        if server.time_mode is TimeMode.RUNNING or server.time_mode is TimeMode.MAX:
            return _refusal(
                "clock should be one that is moved by hand (--clock manual or on-request), "
                f"was {server.time_mode.value}",
                status=409,
            )
        body = _object(await _body(request))
        advance_ms, until_ms = body.get("advance_ms"), body.get("until_ms")
        target_ms = until_ms if advance_ms is None else advance_ms
        is_one = (advance_ms is None) != (until_ms is None)
        if not is_one or type(target_ms) is not int or not 0 <= target_ms <= TIME_MS_MAX:
            return _refusal(
                'clock should get {"advance_ms": n} or {"until_ms": t}, whole milliseconds, '
                f"was {body!r}"
            )
        target_ns = target_ms * NS_PER_MS + (server.now_ns if advance_ms is not None else 0)
        if target_ns < server.now_ns:
            return _refusal(
                f"until_ms should be at or after {server.now_ns // NS_PER_MS}, was {target_ms}; "
                "time moves forward only"
            )
        await server.move_clock(target_ns)
        return _response(json_answer(server.clock_facts()))

    async def _get_faults(self, request: web.Request) -> web.Response:
        plan = self._server.faults
        facts = {"seed": plan.seed, "rules": plan.rules, "struck": plan.struck[-STRUCK_SHOWN_MAX:]}
        return _response(json_answer(facts))

    async def _post_faults(self, request: web.Request) -> web.Response:
        if not _is_from_here(request):
            return _refusal("faults are planned from this machine only", status=403)
        try:
            text = (await _body(request)).decode()
            self._server.set_faults(read_plan(text))
        except UnicodeDecodeError as error:
            return _refusal(f"faults: expected UTF-8, was {error}")
        except ConfigError as error:
            return _refusal(str(error))
        return await self._get_faults(request)

    async def _get_health(self, request: web.Request) -> web.Response:
        server = self._server
        facts = {"status": "ok", "now_ns": server.now_ns, "ticks": server.pump.tick_count}
        return _response(json_answer(facts))

    async def _get_page(self, request: web.Request) -> web.Response:
        page = render(self._server.facts(self.counts))
        return web.Response(text=page, content_type="text/html")


async def _body(request: web.Request) -> bytes:
    if request.content.is_eof():
        return await request.read()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.read()
    except TimeoutError:
        text = f"the body should arrive within {BODY_SECONDS_MAX:g} s"
        raise web.HTTPRequestTimeout(text=text) from None


def _object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _is_funding(body: dict[str, Any]) -> bool:
    """Whether a faucet's body names an amount of USDC, of a token, or of both."""
    usd, token = body.get("usd"), body.get("token")
    is_usd = (
        isinstance(usd, int | float)
        and not isinstance(usd, bool)
        and FAUCET_USD_MIN <= usd <= FAUCET_USD_MAX
    )
    is_token = isinstance(token, str) and isinstance(body.get("amount"), str)
    return (is_usd or usd is None) and (is_token or token is None) and (is_usd or is_token)


def _is_from_here(request: web.Request) -> bool:
    """Whether a request comes from this machine, and not from a web page that somebody reads."""
    try:
        is_near = ipaddress.ip_address(_ip(request)).is_loopback
    except ValueError:
        is_near = False
    return is_near and "Origin" not in request.headers


def _broken_off(request: web.Request) -> web.Response:
    """End the connection; the response goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=502)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def _ip(request: web.Request) -> str:
    return request.remote or "unknown"


def _refusal(text: str, *, status: int = 422) -> web.Response:
    return web.Response(status=status, text=text, headers=_HEADERS)


def _response(answer: Answer) -> web.Response:
    kind = "application/json"
    if answer.is_text or answer.is_html:
        kind = "text/html" if answer.is_html else "text/plain"
    return web.Response(status=answer.status, body=answer.body, content_type=kind, headers=_HEADERS)
