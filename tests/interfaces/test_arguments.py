"""What people type: every mistake says what was expected and what was given."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from core.interfaces import arguments
from core.model.time import NS_PER_MIN, utc_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("5m", 300.0), ("2h", 7_200.0), ("1h30m", 5_400.0), ("1.5m", 90.0)],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert arguments.duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5min", "nan", "1e3s", "5m!", "0s"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="duration should"):
        arguments.duration_seconds(text)


def test_a_bare_number_is_answered_with_a_guess() -> None:
    with pytest.raises(typer.BadParameter, match=r"did you mean 90s\?"):
        arguments.duration_seconds("90")


def test_a_duration_is_finite() -> None:
    with pytest.raises(typer.BadParameter, match="at most 365 days"):
        arguments.duration_seconds("366d")


def test_dates_are_utc() -> None:
    assert utc_text(arguments.date_ns("2025-05-05")) == "2025-05-05 00:00:00"
    half_past = arguments.date_ns("2025-05-05T12:30Z")
    assert half_past - arguments.date_ns("2025-05-05T12:00") == 30 * NS_PER_MIN


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "05.05.2025", "1746403200"])
def test_other_texts_are_no_dates(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="date should read like"):
        arguments.date_ns(text)


def test_coins_keep_their_order() -> None:
    assert arguments.coin_names("SOL, BTC,kPEPE") == ("SOL", "BTC", "kPEPE")


@pytest.mark.parametrize("text", ["", ",", "BTC,BTC", "B TC", "BTC;rm", "\x1b[2J"])
def test_other_texts_are_no_coins(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="coin"):
        arguments.coin_names(text)


def test_data_files_are_named_by_coin() -> None:
    files = arguments.data_files(["BTC=a.parquet", "ETH=dir/b.CSV"])
    assert files == {"BTC": Path("a.parquet"), "ETH": Path("dir/b.CSV")}


@pytest.mark.parametrize("pair", ["BTC", "=a.csv", "BTC=", "BTC=a.txt"])
def test_other_texts_name_no_data_file(pair: str) -> None:
    with pytest.raises(typer.BadParameter, match="should"):
        arguments.data_files([pair])


def test_each_coin_has_one_file() -> None:
    with pytest.raises(typer.BadParameter, match="BTC came twice"):
        arguments.data_files(["BTC=a.csv", "BTC=b.csv"])


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_amounts_are_finite_and_above_nothing(value: float) -> None:
    with pytest.raises(typer.BadParameter, match="finite number above 0"):
        arguments.positive(value, "--equity")


def test_addresses_lose_their_last_slash() -> None:
    assert arguments.web_address("http://127.0.0.1:3001/") == "http://127.0.0.1:3001"


@pytest.mark.parametrize("text", ["", "localhost:3001", "ftp://x", "http://", "https://a/info?x"])
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="an address should read like"):
        arguments.web_address(text)
