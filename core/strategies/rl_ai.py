"""The door for a trained policy. It refuses to open without a model, and never opens a pickle.

This module knows which model files it would accept; it holds no model and pretends none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.model.errors import ConfigError
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import RegimeFit, RLAIParams
from core.strategies.base import KernelStrategy

PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth"})
_SWITCH_OFF = 'set "enabled": false under rl_ai in configs/strategies_config.json'


class RLAI(KernelStrategy[RLAIParams]):
    """Reinforcement learning: acts by a trained policy once there is one.

    Parameters
    ----------
    params : Mapping, optional
        The ``rl_ai`` section of the configuration; checked at once.

    Raises
    ------
    ConfigError
        If it is enabled: this version cannot run a policy, and says what is wrong with the file.
    """

    name = "rl_ai"
    settings_type = RLAIParams
    warm_up_count = 0

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self._refuse_unusable(self.read_settings(params))

    @property
    def regime_fit(self) -> RegimeFit:
        """No regime: it never takes part in the choice by regime."""
        return {}

    def decide(self, view: MarketView, settings: RLAIParams) -> list[Intent]:
        """Refuse, whoever enabled it: there is no policy to ask."""
        self._refuse_unusable(settings)
        return []

    @staticmethod
    def _refuse_unusable(settings: RLAIParams) -> None:
        problem = model_problem(settings)
        if problem:
            raise ConfigError([problem])


def model_problem(settings: RLAIParams) -> str | None:
    """Say why these parameters cannot run, or ``None`` where the strategy is off.

    Pickles (and formats that contain them) execute code when they are opened, so they are refused
    before anything is read.
    """
    if not settings.enabled:
        return None
    where = "strategies.rl_ai.model_path"
    path = Path(settings.model_path)
    if not settings.model_path:
        return f"{where}: expected the file of a trained model, was ''; {_SWITCH_OFF}"
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return (
            f"{where}: expected an ONNX or safetensors file, was {settings.model_path!r}; a "
            f"{path.suffix} file can run any code when it is opened, so it is never loaded: "
            f"export the policy as .onnx, or {_SWITCH_OFF}"
        )
    if not path.is_file():
        return (
            f"{where}: expected an existing file, was {settings.model_path!r}, which does not "
            f"exist; correct the path, or {_SWITCH_OFF}"
        )
    return (
        f"{where}: expected nothing yet, was {settings.model_path!r}; this version cannot run "
        f"trained policies: {_SWITCH_OFF}"
    )
