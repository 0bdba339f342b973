"""The log: readable lines, no secrets, repeats as counts, never in the way of trading."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.model.codes import Regime
from core.utils import logger as logger_module
from core.utils.credential_manager import Secret
from core.utils.logger import REPEAT_SECONDS, Logger, configure
from core.utils.notification import LogNotifier

CANARY = "0x" + "4a" * 32


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    configure(to_stderr=False)
    logging.getLogger().setLevel(before)
    logger_module._state.is_configured = False


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure("debug", stream=stream, to_stderr=False)
    return stream


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_is_time_level_name_and_fields(out: io.StringIO) -> None:
    Logger().info("order", coin="BTC", px=971235, is_buy=True, detail="two words", none=None)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info    order "
        r'coin=BTC px=971235 is_buy=true detail="two words" none=\n',
        out.getvalue(),
    )


def test_all_four_levels_and_the_threshold(out: io.StringIO) -> None:
    configure("warning", stream=out, to_stderr=False)
    logger = Logger("feed")
    for write in (logger.debug, logger.info, logger.warning, logger.error):
        write("said")
    lines = out.getvalue().splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["warning", "said", "logger=feed"],
        ["error", "said", "logger=feed"],
    ]


def test_json_lines_are_json(out: io.StringIO) -> None:
    configure(json=True, stream=out, to_stderr=False)
    Logger().info("fill", lots=3, regime=Regime.CALM, level="x", share=0.5)
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "event": "fill", "lots": 3, "regime": "calm", "level_": "x", "share": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("is_json", [False, True])
def test_no_secret_gets_through(is_json: bool, out: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "nova.log"
    configure("debug", is_json, file, stream=out, to_stderr=False)
    logger = Logger().bind(bound=CANARY)
    logger.info(f"event {CANARY}", field=CANARY, secret=Secret(CANARY), nested={"a": [CANARY]})
    logger.warning("name", **{CANARY: 1})
    try:
        raise ValueError(f"bad key {CANARY}")
    except ValueError:
        logging.getLogger("aiohttp.client").exception("request failed with %s", CANARY)
    configure(to_stderr=False)
    for text in (out.getvalue(), file.read_text()):
        assert text.count("\n") == 3
        assert "4a4a4a4a" not in text
        assert "********" in text
        assert "Traceback" in text, "the rest of a traceback stays"
        assert "aiohttp.client" in text


def test_a_fact_cannot_forge_a_second_line(out: io.StringIO) -> None:
    Logger().info("venue", text='no\n2099-01-01 error forged="yes"', **{"a key": 1})
    assert out.getvalue().count("\n") == 1
    assert "a_key=1" in out.getvalue()


def test_the_file_is_private_and_grows_across_sessions(tmp_path: Path) -> None:
    file = tmp_path / "nova.log"
    for name in ("first", "second"):
        configure("info", False, file, to_stderr=False)
        Logger().info(name)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [line.split()[2] for line in file.read_text().splitlines()] == ["first", "second"]


def test_configuring_again_does_not_write_twice(out: io.StringIO) -> None:
    configure(stream=out, to_stderr=False)
    configure(stream=out, to_stderr=False)
    Logger().info("once")
    assert out.getvalue().count("once") == 1


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="debug, info, warning, error, was 'loud'"):
        configure("loud")


def test_without_configuration_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Logger().info("hello", n=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("info    hello n=1\n")


def test_repeats_become_counts(out: io.StringIO) -> None:
    watch = Stopwatch()
    logger = Logger(monotonic=watch)
    for seq in range(5):
        logger.warning("stale", coin="BTC", seq=seq)
    logger.warning("stale", coin="ETH", seq=9)
    logger.info("stale", coin="BTC")
    watch.seconds += REPEAT_SECONDS
    logger.bind(seq=77).warning("stale", coin="BTC")
    logger.warning("stale", coin="BTC", seq=78)
    logger.flush()
    assert [line.split(" ", 1)[1] for line in out.getvalue().splitlines()] == [
        "warning stale coin=BTC seq=0",
        "warning stale coin=ETH seq=9",
        "info    stale coin=BTC",
        "warning stale seq=77 coin=BTC repeated=4",
        "warning stale coin=BTC repeated=1",
    ]


def test_the_memory_of_repeats_is_bounded(out: io.StringIO) -> None:
    logger = Logger(monotonic=Stopwatch())
    for n in range(3_000):
        logger.debug("n", n=n)
    assert len(logger._repeats._seen) == 1_024
    logger.debug("n", n=2_999)
    logger.debug("n", n=0)
    assert out.getvalue().count("\n") == 3_001


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_broken_log_never_stops_trading(capsys: pytest.CaptureFixture[str]) -> None:
    configure(stream=FullDisk(), to_stderr=False)
    Logger().error("important")
    assert capsys.readouterr().err == ""


def test_the_log_notifier_writes_a_line_of_the_level(out: io.StringIO) -> None:
    LogNotifier().notify("warning", "drawdown", "was 4 %, limit 5 %")
    assert 'warning drawdown logger=notification detail="was 4 %, limit 5 %"' in out.getvalue()


def test_a_logger_may_have_a_file_of_its_own_and_then_leaves_the_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    Logger("nova", file=first).info("one", key=CANARY)
    logger = Logger("nova", file=second)
    logger.warning("two")
    logger.warning("two")
    Logger("feed").info("from_below")
    logger.close()
    assert [line.split()[2] for line in first.read_text().splitlines()] == ["one"]
    assert [line.split()[2] for line in second.read_text().splitlines()] == [
        "two",
        "from_below",
        "two",
    ]
    assert second.read_text().endswith("repeated=1\n")
    assert "4a4a4a4a" not in first.read_text()
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
