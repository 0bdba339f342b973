"""The door for a trained policy stays shut, and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.model.errors import ConfigError, ExitCode
from core.model.settings import RLAIParams, StrategiesConfig
from core.strategies import default_strategies
from core.strategies.rl_ai import RLAI, model_problem


def test_switched_off_it_is_silent() -> None:
    assert RLAI().run({"price": 100.0}) == []
    assert RLAI().regime_fit == {}
    assert model_problem(RLAIParams()) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "was ''"),
        ("models/none.onnx", "does not exist"),
        ("policy.pkl", "can run any code"),
        ("POLICY.PKL", "can run any code"),
        ("policy.pt", "can run any code"),
    ],
)
def test_enabled_without_a_usable_model_it_refuses(path: str, words: str) -> None:
    params = {"enabled": True, "model_path": path}
    with pytest.raises(ConfigError, match="model_path: expected") as caught:
        RLAI(params)
    text = str(caught.value)
    assert words in text
    assert '"enabled": false' in text
    assert caught.value.exit_code is ExitCode.CONFIG


def test_a_pickle_is_refused_unread_even_if_it_exists(tmp_path: Path) -> None:
    bomb = tmp_path / "policy.pkl"
    bomb.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ConfigError, match="never loaded"):
        RLAI({"enabled": True, "model_path": str(bomb)})


def test_a_model_that_exists_is_not_pretended_to_run(tmp_path: Path) -> None:
    model = tmp_path / "policy.onnx"
    model.write_bytes(b"not looked at")
    with pytest.raises(ConfigError, match="cannot run trained policies"):
        RLAI({"enabled": True, "model_path": str(model)})


def test_enabling_it_in_one_call_or_in_the_register_refuses_too() -> None:
    with pytest.raises(ConfigError, match="model_path"):
        RLAI().run({"price": 100.0}, {"enabled": True})
    config = StrategiesConfig(rl_ai=RLAIParams(enabled=True))
    with pytest.raises(ConfigError, match="model_path"):
        default_strategies(config)


@pytest.mark.parametrize(
    "params", [{"action_space": ["moon"]}, {"reward_function": "vibes"}, {"model": "x"}]
)
def test_unknown_words_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"strategies\.rl_ai"):
        RLAI(params)
