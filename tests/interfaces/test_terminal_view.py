"""The live view: fits every size, and never hides mode, limits or why a coin is not traded."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.screen import Screen

from core.interfaces.terminal_view import render
from core.model.codes import Mode, TradingState
from core.model.status import SystemStatus
from tests.interfaces import pictures

SIZES = [(80, 24), (100, 30), (160, 50), (120, 40)]


def drawn(
    status: SystemStatus, width: int, height: int | None, *, notice: str = "", coded: bool = False
) -> str:
    target = io.StringIO()
    console = Console(file=target, width=width, height=height or 50, force_terminal=coded)
    view = render(status, pictures.equity_points(), rows=height, notice=notice)
    console.print(view, end="")
    return target.getvalue()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_everything_that_matters_is_on_every_usual_screen(width: int, height: int) -> None:
    screen = drawn(pictures.status(), width, height)
    lines = screen.splitlines()
    assert len(lines) <= height
    assert max(cell_len(line) for line in lines) <= width
    for needed in (
        "DEMO",
        "ACTIVE",
        "10,023.41",
        "+23.41",
        "1.2 of 15 %",
        "trending 82 %",
        "trend_following",
        "fits trending best",
        "Working orders 3",
        "Last fills",
        "240 ms",
    ):
        assert needed in screen, needed
    assert screen.count("not trading:") == 2
    assert screen.count("✓ trading:") == 1


@pytest.mark.parametrize("width", [1, 10, 24, 39, 79, 81, 300])
@pytest.mark.parametrize("height", [1, 5, 9, 12, 16, 100])
def test_no_size_is_too_strange(width: int, height: int) -> None:
    assert len(drawn(pictures.status(), width, height).splitlines()) <= height


def test_the_line_that_says_why_not_survives_a_crowd() -> None:
    crowd = tuple(pictures.coin_status(f"C{i}", why_not=f"reason {i}", wish="") for i in range(11))
    screen = drawn(pictures.status(coins=crowd), 100, 24)
    assert all(f"reason {i}" in screen for i in range(11))
    assert "Working orders" not in screen


def test_what_does_not_fit_is_counted() -> None:
    crowd = tuple(pictures.coin_status(f"C{i}") for i in range(40))
    assert "and 26 more" in drawn(pictures.status(coins=crowd), 100, 24)


def test_without_a_height_nothing_is_left_out() -> None:
    crowd = tuple(pictures.coin_status(f"C{i}", why_not=f"reason {i}") for i in range(40))
    screen = drawn(pictures.status(coins=crowd), 100, None)
    assert all(f"reason {i}" in screen for i in range(40))
    assert "more;" not in screen


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("state", list(TradingState))
def test_every_mode_and_state_has_its_badge(mode: Mode, state: TradingState) -> None:
    screen = drawn(pictures.status(mode=mode, trading_state=state), 100, 30)
    assert f" {mode.value.upper()} " in screen
    assert f"● {state.value.upper()}" in screen


def test_an_engine_that_knows_nothing_yet_can_be_drawn() -> None:
    nothing = pictures.status(
        coins=(),
        orders=(),
        fills=(),
        refusals={},
        ts_ns=0,
        equity_micro=0,
        day_pnl_micro=0,
        drawdown_limit=0.0,
        requests_cap=0,
        ip_weight_cap=0,
        exposure_gross_micro=0,
        trading_state=TradingState.HALTED,
        state_reason="waiting for the venue",
    )
    screen = drawn(nothing, 80, 24)
    assert "waiting for the venue" in screen
    assert "no coin yet" in screen
    assert "nothing filled yet" in screen


def test_unknown_prices_read_as_dashes() -> None:
    unknown = pictures.coin_status(
        "BTC",
        price=pictures.NAN,
        entry_price=pictures.NAN,
        stop_price=pictures.NAN,
        data_age_ns=-1,
        position_coins=0.0,
    )
    screen = drawn(pictures.status(coins=(unknown,)), 160, 50)
    assert "nan" not in screen
    assert "–" in screen


def test_a_notice_is_shown_whole_even_on_a_narrow_screen() -> None:
    notice = "page http://127.0.0.1:43211/?t=AbCdEfGhIjKlMnOpQrStUv"
    assert notice in drawn(pictures.status(), 80, 24, notice=notice)


def test_hostile_texts_change_nothing_on_the_screen() -> None:
    hostile = pictures.HOSTILE
    coin = pictures.coin_status(
        hostile, strategy=hostile, strategy_reason=hostile, wish="", why_not=hostile
    )
    row = pictures.order(1, hostile, strategy=hostile)
    status = pictures.status(
        coins=(coin,),
        orders=(row,),
        fills=(pictures.attributed(1, coin=hostile),),
        state_reason=hostile,
        session=hostile,
        account=hostile,
        refusals={hostile: 2},
    )
    for width, height in SIZES:
        screen = drawn(status, width, height)
        assert "\x1b" not in screen
        assert "\x07" not in screen
        assert "[bold red]" in screen
        assert len(screen.splitlines()) <= height


def test_an_ascii_terminal_gets_ascii() -> None:
    target = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=target, width=100, height=30)
    console.print(render(pictures.status(), pictures.equity_points(), rows=30))
    target.flush()
    raw = target.buffer
    assert isinstance(raw, io.BytesIO)
    assert b"not trading:" in raw.getvalue()


def test_the_newest_fill_comes_first() -> None:
    screen = drawn(pictures.status(), 160, 50)
    assert screen.index("00:35:00") < screen.index("00:28:00")


def test_a_drawdown_near_its_limit_is_red() -> None:
    calm = drawn(pictures.status(drawdown=0.01), 100, 30, coded=True)
    dire = drawn(pictures.status(drawdown=0.14), 100, 30, coded=True)
    red_bar = "\x1b[1;31m█"
    assert red_bar not in calm
    assert red_bar in dire


def test_a_live_screen_shows_the_same_as_a_print() -> None:
    """A screen gives its height to everything inside, which must not stretch the panels."""
    target = io.StringIO()
    console = Console(file=target, width=100, height=30)
    view = render(pictures.status(), pictures.equity_points(), rows=30)
    lines = console.render_lines(Screen(view), console.options)
    screen = ["".join(segment.text for segment in line).rstrip() for line in lines]
    assert "\n".join(screen).rstrip() == drawn(pictures.status(), 100, 30).rstrip()


def test_without_a_curve_the_cash_stands_in_its_place() -> None:
    target = io.StringIO()
    Console(file=target, width=100).print(render(pictures.status()))
    assert "Cash 10,010.00" in target.getvalue()
