"""Configuration: what is right is accepted as written, what is wrong is told all at once."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import ConfigError, ExitCode
from core.model.settings import EngineConfig, StrategiesConfig, TradingParams
from core.utils.config_loader import ConfigLoader, config_problems, load_engine_config
from core.utils.config_rules import ORDERED, STRATEGY_NAMES, require_equity
from core.utils.jsonc import parse_jsonc

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CANARY = "0x" + "4a" * 32


def load(tmp_path: Path, *, trading: Any = None, strategies: Any = None) -> EngineConfig:
    paths: dict[str, Path] = {}
    for name, value in (("trading", trading), ("strategies", strategies)):
        if value is not None:
            paths[f"{name}_path"] = tmp_path / f"{name}.json"
            text = value if isinstance(value, str) else json.dumps(value)
            paths[f"{name}_path"].write_text(text)
    return load_engine_config(**paths)


def problems(tmp_path: Path, **parts: Any) -> list[str]:
    with pytest.raises(ConfigError) as info:
        load(tmp_path, **parts)
    return list(info.value.problems)


class TestShippedFiles:
    def test_they_say_exactly_the_defaults(self) -> None:
        loaded = load_engine_config(
            CONFIGS / "trading_params.json", CONFIGS / "strategies_config.json"
        )
        assert loaded == EngineConfig()

    def test_they_name_every_setting(self) -> None:
        loader = ConfigLoader()
        trading = loader.load_config(CONFIGS / "trading_params.json")
        assert set(trading) == set(TradingParams.__struct_fields__)
        strategies = loader.load_config(CONFIGS / "strategies_config.json")
        for name, params in msgspec.structs.asdict(StrategiesConfig()).items():
            assert set(strategies[name]) == set(params.__struct_fields__), name

    @pytest.mark.parametrize("name", ["trading_params.json", "strategies_config.json"])
    def test_every_key_is_explained_on_the_line_above(self, name: str) -> None:
        lines = (CONFIGS / name).read_text().splitlines()
        for above, line in itertools.pairwise(lines):
            if re.match(r'\s*"\w+":', line):
                assert above.strip().startswith("//"), line

    def test_the_users_values_are_in_effect(self) -> None:
        trading = load_engine_config(CONFIGS / "trading_params.json").trading
        assert (trading.default_leverage, trading.max_risk_per_trade) == (10, 0.01)
        assert (trading.slippage_tolerance, trading.order_type) == (0.0005, "market")
        assert (trading.max_daily_loss, trading.max_open_positions) == (0.02, 5)
        assert trading.trade_timeout_seconds == 3600.0


class TestLoadConfig:
    def test_a_missing_file_raises_as_documented(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            ConfigLoader().load_config(tmp_path / "none.json")

    def test_comments_are_allowed_and_strings_untouched(self, tmp_path: Path) -> None:
        path = tmp_path / "c.json"
        path.write_text(
            '\ufeff{ // one\n "url": "https://x/*no*/", /* two\n lines */ "q": "a\\"//b", "n": 1e3}'
        )
        assert ConfigLoader().load_config(str(path)) == {
            "url": "https://x/*no*/",
            "q": 'a"//b',
            "n": 1000.0,
        }

    @pytest.mark.parametrize(
        ("text", "line", "column", "message"),
        [
            ('{\n  "a": 1,\n  "b" 2\n}', 3, 7, "':' delimiter"),
            ('// c\n{"a": /* x */ oops}', 2, 15, "Expecting value"),
            ('{"a": 1 /* never', 1, 9, "comment is never closed"),
            ('{\n"a": NaN}', 2, 6, "finite, was NaN"),
            ('{"a": -Infinity}', 1, 7, "finite, was -Infinity"),
            ('{"a": [1, 1e999]}', 1, 11, "finite, was 1e999"),
            ('{"a": 1,\n"b": 2, "a": 3}', 2, 9, "key 'a' given twice"),
            ("[1, 2]", 1, 1, "one JSON object"),
            ("", 1, 1, "Expecting value"),
            ('{"a": 1', 1, 8, "delimiter"),
            ("[" * 100_000, 1, 1, "nested too deeply"),
            ('{"a": ' + "9" * 5_000 + "}", 1, 7, "finite, was 99999999999999999999"),
        ],
    )
    def test_broken_json_is_placed(
        self, tmp_path: Path, text: str, line: int, column: int, message: str
    ) -> None:
        path = tmp_path / "c.json"
        path.write_text(text)
        with pytest.raises(json.JSONDecodeError) as info:
            ConfigLoader().load_config(path)
        assert message in info.value.msg
        assert (info.value.lineno, info.value.colno) == (line, column)

    def test_bytes_that_are_no_text_are_placed(self, tmp_path: Path) -> None:
        path = tmp_path / "c.json"
        path.write_bytes(b'{"a": "\xff"}')
        with pytest.raises(json.JSONDecodeError, match="UTF-8"):
            ConfigLoader().load_config(path)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text()
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )  # fmt: skip
    def test_any_json_is_read_as_json_reads_it(self, value: Any) -> None:
        for indent in (None, 1):
            assert parse_jsonc(json.dumps(value, indent=indent, ensure_ascii=False)) == value


class TestProblems:
    def test_all_of_both_files_at_once(self, tmp_path: Path) -> None:
        found = problems(
            tmp_path,
            trading={
                "max_daly_loss": 0.02,
                "max_risk_per_trade": -0.01,
                "order_type": "markt",
                "coins": [],
            },
            strategies={
                "scalping": {"entry_deviation": "0.002"},
                "trend_following": {"fast_period": 80},
                "grid": {},
            },
        )
        assert found == [
            "trading.json: max_risk_per_trade: expected a finite number above 0 and at most 0.1, "
            "was -0.01",
            "trading.json: order_type: expected 'limit' or 'market', was 'markt'; "
            "did you mean 'market'?",
            "trading.json: coins: expected a list of 1 to 50 entries, was 0 entries",
            "trading.json: max_daly_loss: expected a known key, was unknown; "
            "did you mean 'max_daily_loss'?",
            "strategies.json: scalping.entry_deviation: expected a finite number above 0 and at "
            "most 0.2, was '0.002'",
            "strategies.json: grid: expected a known key, was unknown",
            "strategies.json: trend_following.fast_period: expected below slow_period (80), was 80",
        ]

    @pytest.mark.parametrize(
        ("value", "was"),
        [
            (True, "true"),
            (None, "null"),
            ([], "a list"),
            ({}, "an object"),
            ("10", "'10'"),
            (10.0, "10.0"),
            (0, "0"),
            (51, "51"),
            (10**30, "1000000000000"),
        ],
    )
    def test_a_leverage_must_be_a_whole_number_in_range(
        self, tmp_path: Path, value: Any, was: str
    ) -> None:
        (problem,) = problems(tmp_path, trading={"default_leverage": value})
        assert problem.startswith(
            "trading.json: default_leverage: expected a whole number at least 1 and at most 50, "
            f"was {was}"
        )
        assert len(problem) < 200

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
    @pytest.mark.parametrize("path", ["trading.price_band", "strategies.grid_trading.upper_bound"])
    def test_numbers_are_finite_even_without_a_bound(self, value: float, path: str) -> None:
        *parents, name = path.split(".")
        data: dict[str, Any] = {name: value}
        for parent in reversed(parents):
            data = {parent: data}
        (problem,) = config_problems(data)
        assert problem.path == path
        assert "expected a finite number above 0" in problem.text

    def test_whole_numbers_are_numbers_and_null_is_allowed_where_it_means_none(
        self, tmp_path: Path
    ) -> None:
        config = load(
            tmp_path,
            trading={"max_position_ratio": 1},
            strategies={"grid_trading": {"order_quantity": None, "upper_bound": 3}},
        )
        assert config.trading.max_position_ratio == 1.0
        assert type(config.trading.max_position_ratio) is float
        assert config.strategies.grid_trading.upper_bound == 3.0

    @pytest.mark.parametrize(("low_path", "word", "high_path"), ORDERED)
    def test_values_out_of_order_are_told_and_values_in_order_are_not(
        self, low_path: str, word: str, high_path: str
    ) -> None:
        def at(low: float, high: float) -> list[str]:
            data: dict[str, Any] = {}
            for path, value in ((low_path, low), (high_path, high)):
                node = data
                *parents, name = path.split(".")
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[name] = value
            return [str(p) for p in config_problems(data)]

        is_count = low_path.endswith("_period")
        small, large = (10, 11) if is_count else (0.04, 0.05)
        high_name = high_path.rpartition(".")[2]
        assert at(small, large) == []
        assert at(large, small) == [
            f"{low_path}: expected {word} {high_name} ({small}), was {large}"
        ]
        assert bool(at(small, small)) == (word == "below")

    def test_a_rule_compares_with_the_default_of_a_key_left_out(self, tmp_path: Path) -> None:
        assert problems(tmp_path, trading={"max_daily_loss": 0.06}) == [
            "trading.json: max_daily_loss: expected at most max_daily_drawdown (0.05), was 0.06"
        ]

    def test_a_rule_is_silent_about_a_value_that_is_wrong_by_itself(self, tmp_path: Path) -> None:
        assert len(problems(tmp_path, trading={"max_daily_loss": 7})) == 1

    def test_coins_are_named_once_and_properly(self, tmp_path: Path) -> None:
        assert problems(tmp_path, trading={"coins": ["BTC", "ETH", "BTC", " SOL", 7]}) == [
            "trading.json: coins[4]: expected a text, was 7"
        ]
        assert problems(tmp_path, trading={"coins": ["BTC", "ETH", "BTC", " SOL"]}) == [
            "trading.json: coins[2]: expected each coin once, was 'BTC' again",
            "trading.json: coins[3]: expected a coin's name such as 'BTC', was ' SOL'",
        ]

    def test_the_fixed_strategy_is_a_known_and_enabled_one(self, tmp_path: Path) -> None:
        assert STRATEGY_NAMES == (
            "scalping",
            "mean_reversion",
            "grid_trading",
            "trend_following",
            "rl_ai",
        )
        assert problems(tmp_path, strategies={"selection": {"fixed_strategy": "scalpin"}}) == [
            "strategies.json: selection.fixed_strategy: expected one of scalping, mean_reversion, "
            "grid_trading, trend_following, rl_ai or nothing, was 'scalpin'; did you mean "
            "'scalping'?"
        ]
        (problem,) = problems(tmp_path, strategies={"selection": {"fixed_strategy": "rl_ai"}})
        assert problem.endswith("expected an enabled strategy, was 'rl_ai', which is disabled")
        config = load(tmp_path, strategies={"selection": {"fixed_strategy": "scalping"}})
        assert config.strategies.selection.fixed_strategy == "scalping"

    @pytest.mark.parametrize(
        ("model", "text"),
        [
            ("", "expected a trained model, as rl_ai is enabled, was empty"),
            ("m.pkl", "a pickle can run any program"),
            ("none.npz", "expected an existing file"),
        ],
    )
    def test_rl_ai_without_a_usable_model_is_refused(
        self, tmp_path: Path, model: str, text: str
    ) -> None:
        (problem,) = problems(
            tmp_path, strategies={"rl_ai": {"enabled": True, "model_path": model}}
        )
        assert problem.startswith("strategies.json: rl_ai.model_path: ")
        assert text in problem

    def test_rl_ai_with_a_model_file_is_accepted(self, tmp_path: Path) -> None:
        model = tmp_path / "policy.npz"
        model.write_bytes(b"0")
        config = load(tmp_path, strategies={"rl_ai": {"enabled": True, "model_path": str(model)}})
        assert config.strategies.rl_ai.enabled

    def test_unreadable_files_are_problems_beside_the_others(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as info:
            load_engine_config(tmp_path / "none.json", tmp_path)
        assert info.value.exit_code == ExitCode.CONFIG
        assert info.value.problems == (
            f"{tmp_path}/none.json: expected a configuration file, was missing",
            f"{tmp_path}: expected a readable file, was not: Is a directory",
        )
        found = problems(tmp_path, trading='{"coins": }', strategies={"scalpin": {}})
        assert "trading.json: expected valid JSON, was not at line 1 column 11" in found[0]
        assert "did you mean 'scalping'?" in found[1]

    def test_a_section_that_is_no_object_is_one_problem(self, tmp_path: Path) -> None:
        assert problems(tmp_path, strategies={"scalping": 3, "regime": []}) == [
            "strategies.json: scalping: expected an object, was 3",
            "strategies.json: regime: expected an object, was a list",
        ]

    def test_secrets_in_a_configuration_are_refused_and_never_repeated(
        self, tmp_path: Path
    ) -> None:
        found = problems(
            tmp_path,
            trading={"private_key": CANARY, "order_type": CANARY, CANARY: 1, "coins": [CANARY] * 2},
            strategies={
                "selection": {"fixed_strategy": CANARY},
                "rl_ai": {"enabled": True, "model_path": CANARY},
            },
        )
        assert len(found) == 6
        assert CANARY[2:] not in "\n".join(found)
        assert any("credentials belong into secrets.env" in problem for problem in found)


def test_nothing_given_is_the_defaults() -> None:
    assert load_engine_config() == EngineConfig()


def test_equity_must_start_above_its_floor() -> None:
    config = msgspec.convert({"trading": {"equity_floor_usdc": 500.0}}, EngineConfig)
    require_equity(config, 500.01)
    for equity in (500.0, 0.0, float("nan")):
        with pytest.raises(ConfigError, match="below the equity at the start"):
            require_equity(config, equity)
