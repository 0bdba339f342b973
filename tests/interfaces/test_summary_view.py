"""The end of a session: every number is there, and a loss is called a loss."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from core.analytics.performance_tracker import PerformanceTracker
from core.analytics.report import Estimate, PerformanceReport
from core.interfaces import summary_view
from core.model.errors import ExitCode
from tests.interfaces import pictures
from tests.interfaces.fakes import outcome

USDC = pictures.USDC


def report(*, price: int = 5, fees: int = 17, funding: int = 0) -> PerformanceReport:
    base = PerformanceTracker().track_metrics(pictures.record())
    parts = msgspec.structs.replace(
        base.attribution,
        price_pnl_micro=price * USDC,
        fees_micro=fees * USDC,
        funding_micro=funding * USDC,
        net_pnl_micro=(price - fees + funding) * USDC,
    )
    return msgspec.structs.replace(base, attribution=parts)


def drawn(view: object, width: int = 100) -> str:
    target = io.StringIO()
    Console(file=target, width=width).print(view)
    return target.getvalue()


def test_a_loss_is_said_plainly_and_blamed_on_its_cause() -> None:
    words = " ".join(summary_view.verdict(report(price=5, fees=17)))
    assert words.startswith("The strategies lost 12.00 USDC after fees and funding.")
    assert "Prices alone earned 5.00; costs made it a loss." in words


def test_a_loss_from_prices_is_not_blamed_on_costs() -> None:
    words = " ".join(summary_view.verdict(report(price=-5, fees=1)))
    assert "lost 6.00 USDC" in words
    assert "costs made it" not in words


def test_a_gain_within_chance_is_called_luck() -> None:
    base = report(price=20, fees=1)
    risk = msgspec.structs.replace(base.risk, sharpe=Estimate(value=1.9, standard_error=1.0))
    lucky = msgspec.structs.replace(base, risk=risk)
    assert "luck explains it as well as skill" in " ".join(summary_view.verdict(lucky))
    risk = msgspec.structs.replace(base.risk, sharpe=Estimate(value=2.1, standard_error=1.0))
    sure = msgspec.structs.replace(base, risk=risk)
    words = " ".join(summary_view.verdict(sure))
    assert words == "The strategies earned 19.00 USDC after fees and funding."


def test_without_trades_nothing_is_judged() -> None:
    idle = PerformanceTracker().track_metrics(pictures.record(fills=(), funding=()))
    words = list(summary_view.verdict(idle))
    assert words == ["Nothing was traded, so there is nothing to judge."]


def test_numbers_stand_in_the_order_in_which_they_matter() -> None:
    text = drawn(summary_view.report_view(report()), 100)
    labels = (
        "Net PnL",
        "  Price",
        "  Fees",
        "  Funding",
        "Win rate",
        "Profit factor",
        "Max drawdown",
        "Sharpe",
        "Slippage",
        " Strategy",
        " Coin",
    )
    places = [text.index(f"\n{label}") for label in labels]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_every_width_shows_every_number(width: int) -> None:
    text = drawn(summary_view.report_view(report()), width)
    assert max(len(line) for line in text.splitlines()) <= width
    for needed in ("Net PnL", "-12.00", " ± ", "Slippage", "trend_following", "BTC"):
        assert needed in text, needed


def test_what_a_simulation_assumed_is_said() -> None:
    assert "Assumed: latency of 50 ms each way." in drawn(summary_view.report_view(report()))


def test_hostile_names_are_text_in_tables() -> None:
    rows = tuple(
        msgspec.structs.replace(pictures.attributed(i), strategy=pictures.HOSTILE) for i in range(4)
    )
    view = summary_view.report_view(
        PerformanceTracker().track_metrics(pictures.record(fills=rows, session=pictures.HOSTILE))
    )
    text = drawn(view, 140)
    assert "\x1b" not in text
    assert "[bold red]" in text


def test_a_report_from_a_running_bot_is_drawn_as_its_own() -> None:
    data = json.loads(msgspec.json.encode(report()))
    assert drawn(summary_view.report_tables(data)) == drawn(summary_view.report_view(report()))


def test_both_pictures_are_drawn_and_named(tmp_path: Path) -> None:
    paths = summary_view.draw_pictures(pictures.record(), tmp_path)
    assert [path.suffix for path in paths] == [".png", ".html"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert pictures.record().session in paths[1].read_text()


def test_pictures_that_cannot_be_written_do_not_cost_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.analytics.backtest_visualizer import BacktestVisualizer

    def full(self: object, record: object, directory: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BacktestVisualizer, "visualize_backtest", full)
    summary_view.tell_outcome(outcome(tmp_path), as_json=False)
    told = capsys.readouterr()
    assert "Net PnL" in told.out
    assert f"Journal  {tmp_path / 'journal.sqlite'}" in told.out.replace("\n", "")
    assert "No space left" in told.err


def test_the_document_has_everything_and_is_valid_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(summary_view, "draw_pictures", lambda record, directory: (tmp_path / "a",))
    halted = outcome(tmp_path, exit_code=ExitCode.HALTED_BY_RISK, reason="drawdown")
    summary_view.tell_outcome(halted, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["exit_code"] == 10
    assert document["reason"] == "drawdown"
    assert document["report"]["attribution"]["fees_micro"] == 6 * 1_796_000
    assert document["pictures"] == [str(tmp_path / "a")]
    assert document["journal"].endswith("journal.sqlite")


def test_a_bad_end_is_shown_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(summary_view, "draw_pictures", lambda record, directory: ())
    halted = outcome(tmp_path, exit_code=ExitCode.HALTED_BY_RISK, reason="drawdown")
    summary_view.tell_outcome(halted, as_json=False)
    assert "Ended: drawdown (exit code 10, HALTED_BY_RISK)" in capsys.readouterr().out
