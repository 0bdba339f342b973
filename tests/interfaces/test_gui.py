"""The page on loopback: who may see it, what it shows, and what it never lets through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from core.interfaces import gui_page
from core.interfaces.gui_interface import GUIInterface
from core.model.errors import PortInUseError
from core.model.time import NS_PER_MIN
from tests.interfaces import pictures


class Elements(HTMLParser):
    """Collects the tags of a page, and fails on a tag that is closed wrongly."""

    VOID = frozenset({"meta", "br", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture
async def gui() -> AsyncIterator[tuple[GUIInterface, str]]:
    interface = GUIInterface(pictures.status, pictures.equity_points)
    address = await interface.start()
    yield interface, address
    await interface.stop()
    await interface.stop()


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


async def test_the_printed_address_opens_the_page(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession
) -> None:
    _, address = gui
    async with browser.get(address) as answer:
        assert answer.status == 200
        assert answer.url.query_string == ""
        html = await answer.text()
    for needed in ("DEMO", "ACTIVE", "10,023.41", "Not trading: no strategy fits", "<polyline"):
        assert needed in html
    root = address.split("?")[0]
    async with browser.get(f"{root}view") as answer:
        assert answer.status == 200
        assert "<main>" not in await answer.text()


async def test_the_first_visit_leaves_a_cookie_that_scripts_cannot_read(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession
) -> None:
    _, address = gui
    async with browser.get(address, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/"
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize("query", ["", "?t=", "?t=wrong", "?t=%ff%fe", "?token=x"])
async def test_without_the_token_there_is_nothing_to_see(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession, query: str
) -> None:
    root = gui[1].split("?")[0]
    for path in ("", "view", "other"):
        async with browser.get(f"{root}{path}{query}") as answer:
            assert answer.status == 403
            assert "10,023" not in await answer.text()


async def test_another_host_name_is_refused_even_with_the_token(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession
) -> None:
    async with browser.get(gui[1], headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403


async def test_every_answer_carries_the_security_headers(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession
) -> None:
    root = gui[1].split("?")[0]
    for url in (root, gui[1], f"{root}missing"):
        async with browser.get(url) as answer:
            headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy


async def test_nothing_can_be_changed_through_the_page(
    gui: tuple[GUIInterface, str], browser: aiohttp.ClientSession
) -> None:
    async with browser.get(gui[1]):
        pass
    root = gui[1].split("?")[0]
    async with browser.post(root) as answer:
        assert answer.status == 405
    async with browser.get(f"{root}missing") as answer:
        assert answer.status == 404


async def test_two_bots_do_not_share_a_cookie(browser: aiohttp.ClientSession) -> None:
    first, second = GUIInterface(pictures.status), GUIInterface(pictures.status)
    addresses = [await first.start(), await second.start()]
    try:
        for address in addresses:
            async with browser.get(address) as answer:
                assert answer.status == 200
        for address in addresses:
            async with browser.get(address.split("?")[0]) as answer:
                assert answer.status == 200
    finally:
        await first.stop()
        await second.stop()


async def test_a_taken_port_is_an_error_a_person_understands() -> None:
    first = GUIInterface()
    port = urlsplit(await first.start()).port
    assert port is not None
    try:
        with pytest.raises(PortInUseError, match=f"port {port}"):
            await GUIInterface(port=port).start()
    finally:
        await first.stop()


async def test_tokens_are_long_and_never_repeat() -> None:
    interfaces = [GUIInterface() for _ in range(2)]
    tokens = set()
    for interface in interfaces:
        tokens.update(parse_qs(urlsplit(await interface.start()).query)["t"])
        await interface.stop()
    assert len(tokens) == 2
    assert all(len(token) >= 22 for token in tokens)


def test_the_page_loads_nothing_from_anywhere() -> None:
    html = gui_page.page(
        gui_page.status_view(pictures.status(), pictures.equity_points()), nonce="n"
    )
    for tag, attributes in elements(html).seen:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "style", "onload", "onclick"} & set(attributes), tag
        if tag in {"script", "style"}:
            assert attributes["nonce"] == "n"
    assert "http" not in html.replace("http-equiv", "")


def test_hostile_texts_stay_texts() -> None:
    hostile = pictures.HOSTILE
    coin = pictures.coin_status(hostile, strategy=hostile, wish=hostile, strategy_reason=hostile)
    status = pictures.status(
        coins=(coin, pictures.coin_status("x", why_not=hostile)),
        orders=(pictures.order(1, hostile, strategy=hostile),),
        fills=(pictures.attributed(1, coin=hostile),),
        state_reason=hostile,
        session=hostile,
        account=hostile,
    )
    html = gui_page.status_view(status, ())
    assert "<script" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html
    assert "script" not in {tag for tag, _ in elements(html).seen}


def test_without_a_session_the_page_says_so() -> None:
    interface = GUIInterface()
    assert "Nothing runs here yet" in interface.display_pnl()
    assert "nothing filled yet" in interface.display_trade_history()


def test_charts_trades_and_pnl_can_be_asked_one_by_one() -> None:
    interface = GUIInterface(pictures.status)
    svg = interface.update_charts(pictures.equity_points(50))
    assert svg.count("<polyline") == 1
    assert "10,023.41" in interface.display_pnl()
    history = interface.display_trade_history()
    assert history.index("00:35:00") < history.index("00:28:00")
    foreign = interface.display_trade_history(
        [pictures.attributed(1, coin="DOGE", lots=1_234, px=1_000_000)], sz_decimals={"DOGE": 0}
    )
    assert "DOGE" in foreign
    assert "1,234" in foreign


def test_a_long_curve_keeps_its_ends_and_a_bounded_size() -> None:
    points = pictures.equity_points(5_000)
    svg = gui_page.equity_svg(points)
    path = svg.split('points="')[1].split('"')[0].split()
    assert len(path) <= gui_page.CURVE_POINTS_MAX + 1
    assert path[0].startswith("0.0,")
    assert path[-1].startswith(f"{gui_page.CURVE_WIDTH:.1f},")
    assert points[-1].ts_ns - points[0].ts_ns == 4_999 * NS_PER_MIN


def test_a_flat_or_empty_curve_is_no_error() -> None:
    point = pictures.equity_points(1)[0]
    assert "second sample" in gui_page.equity_svg(())
    assert "<polyline" in gui_page.equity_svg((point, point))


async def test_a_finished_session_can_be_shown(browser: aiohttp.ClientSession) -> None:
    interface = GUIInterface(record=pictures.record())
    address = await interface.start()
    try:
        async with browser.get(address) as answer:
            html = await answer.text()
    finally:
        await interface.stop()
    assert "20250505-090000-demo-7" in html
    assert "trend_following" in html
