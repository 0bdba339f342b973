"""A page on loopback that shows a running session, or a finished one, in the browser.

It is read-only: nothing on the page can change anything. It answers only on this machine, only
under its own host name and port, and only to whoever has the random token that its address
carries; after the first visit a cookie carries it instead, so that it does not stay in the
address bar. What the numbers mean is not known here.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from core.interfaces import gui_page
from core.model.account import AttributedFill, EquityPoint
from core.model.errors import PortInUseError
from core.model.record import SessionRecord
from core.model.status import SystemStatus

HOST = "127.0.0.1"
COOKIE_PREFIX = "nova_token_"
TOKEN_BYTES = 16
EQUITY_KEPT_MAX = 20_000

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class GUIInterface:
    """Serve the page of one session.

    Parameters
    ----------
    status : callable, optional
        Returns what to show now, ``None`` while there is nothing; without it the page says so.
    equity : callable, optional
        Returns the equity points to draw, oldest first; without it `update_charts` feeds them.
    record : SessionRecord, optional
        A finished session to show instead of a running one.
    port : int
        0 lets the system choose.
    """

    def __init__(
        self,
        status: Callable[[], SystemStatus | None] | None = None,
        equity: Callable[[], Sequence[EquityPoint]] | None = None,
        *,
        record: SessionRecord | None = None,
        port: int = 0,
    ) -> None:
        self._status = status or (lambda: None)
        self._equity = equity or (lambda: tuple(self._points))
        self._points: list[EquityPoint] = []
        self._record = record
        self._port = port
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Begin to serve and return the address, token included.

        Raises
        ------
        PortInUseError
            If the port is taken.
        """
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get("/", self._page), web.get("/view", self._view)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, self._port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise PortInUseError(
                f"port {self._port} on {HOST} should be free for the page, was not: {error}"
            ) from error
        self._runner = runner
        self._port = runner.addresses[0][1]
        return f"http://{HOST}:{self._port}/?t={self._token}"

    async def stop(self) -> None:
        """Stop serving; safe to call twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def update_charts(self, equity: Sequence[EquityPoint]) -> str:
        """Take the equity points to draw from now on and return their picture as SVG."""
        self._points = list(equity[-EQUITY_KEPT_MAX:])
        return gui_page.equity_svg(self._points)

    def display_trade_history(
        self,
        fills: Sequence[AttributedFill] | None = None,
        *,
        sz_decimals: dict[str, int] | None = None,
    ) -> str:
        """Return fills as an HTML table, newest first; by default those of the session.

        Parameters
        ----------
        sz_decimals : dict, optional
            Size decimals of each coin, where the fills are not the session's own.
        """
        status = self._status()
        if fills is None:
            fills = status.fills if status else ()
        known = {coin.coin: coin.sz_decimals for coin in status.coins} if status else {}
        return gui_page.fills_table(fills, {**known, **(sz_decimals or {})})

    def display_pnl(self) -> str:
        """Return the account's money and limits as HTML; says so while there is no session."""
        status = self._status()
        return gui_page.pnl_list(status) if status else gui_page.status_view(None, ())

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in only our own host name with the token, and harden every answer."""
        response = await self._admit(request, handler)
        response.headers.update(_HEADERS)
        if "Content-Security-Policy" not in response.headers:
            response.headers["Content-Security-Policy"] = "default-src 'none'"
        return response

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host not in (f"{HOST}:{self._port}", f"localhost:{self._port}"):
            return web.Response(status=403, text="this page answers only under its own address\n")
        if request.path == "/" and self._is_token(request.query.get("t", "")):
            answer = web.Response(status=303, headers={"Location": "/"})
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
            return answer
        if not self._is_token(request.cookies.get(self._cookie, "")):
            return web.Response(
                status=403, text="open the address that nova printed; it carries the token\n"
            )
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.reason}\n")

    @property
    def _cookie(self) -> str:
        """Name of the cookie; a browser shares cookies among the ports of one host."""
        return f"{COOKIE_PREFIX}{self._port}"

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode())

    async def _page(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(TOKEN_BYTES)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        body = gui_page.page(self._current(), nonce=nonce)
        return web.Response(
            text=body, content_type="text/html", headers={"Content-Security-Policy": policy}
        )

    async def _view(self, request: web.Request) -> web.Response:
        return web.Response(text=self._current(), content_type="text/html")

    def _current(self) -> str:
        if self._record is not None:
            return gui_page.record_view(self._record)
        return gui_page.status_view(self._status(), self._equity())
