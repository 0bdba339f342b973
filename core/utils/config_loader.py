"""Read configuration files into the frozen settings, or say everything that is wrong with them.

Knows the files and the settings; knows nothing of credentials, which never stand in a
configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.model.errors import ConfigError
from core.model.settings import EngineConfig, StrategiesConfig, TradingParams
from core.utils.config_rules import broken_rules
from core.utils.jsonc import parse_jsonc
from core.utils.struct_check import Problem, find_problems

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "trading": TradingParams,
    "strategies": StrategiesConfig,
}
_SECRET_WORDS = ("secret", "private", "password", "api_key", "apikey", "agent_key")


class ConfigLoader:
    """Read configuration files as plain data."""

    def load_config(self, path: str | Path) -> dict[str, Any]:
        """Read one JSON file; ``//`` and ``/* */`` comments are allowed.

        Returns
        -------
        dict
            The file's object as it stands, not yet compared with any settings.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        json.JSONDecodeError
            With line and column, if the text is no JSON object, has a number that is not finite or
            a key twice.
        """
        text = Path(path).read_bytes().decode("utf-8-sig", errors="surrogateescape")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise json.JSONDecodeError("text should be UTF-8", text, error.start) from None
        value = parse_jsonc(text)
        if not isinstance(value, dict):
            raise json.JSONDecodeError("file should hold one JSON object", text, 0)
        return value


def load_engine_config(
    trading_path: str | Path | None = None, strategies_path: str | Path | None = None
) -> EngineConfig:
    """Read both configuration files into validated settings.

    Parameters
    ----------
    trading_path, strategies_path : path, optional
        ``None`` takes the defaults of that part.

    Raises
    ------
    ConfigError
        With all problems of both files, each as ``file: path: expected …, was …``.
    """
    paths = {"trading": trading_path, "strategies": strategies_path}
    given: dict[str, Any] = {}
    unreadable: list[str] = []
    for section, path in paths.items():
        try:
            given[section] = {} if path is None else ConfigLoader().load_config(path)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
            unreadable.append(f"{path}: expected valid JSON, was not at {place}: {error.msg}")
        except FileNotFoundError:
            unreadable.append(f"{path}: expected a configuration file, was missing")
        except OSError as error:
            unreadable.append(f"{path}: expected a readable file, was not: {error.strerror}")
    names = {s: Path(p).name if p is not None else s for s, p in paths.items()}
    problems = [_with_file(problem, names) for problem in config_problems(given)]
    if unreadable or problems:
        raise ConfigError([*unreadable, *problems])
    return msgspec.convert(given, EngineConfig)


def config_problems(given: Mapping[str, Any]) -> list[Problem]:
    """List everything wrong with ``{"trading": {…}, "strategies": {…}}``.

    A section that is absent stands for its defaults in rules between settings.
    """
    found = [
        problem
        for section, value in given.items()
        for problem in find_problems(value, _SECTIONS[section], section)
    ]
    bad = {problem.path for problem in found}
    values = {
        path: value
        for section, kind in _SECTIONS.items()
        for path, value in _effective(given.get(section, {}), kind(), section)
        if not any(path == b or b.startswith((f"{path}[", f"{path}.")) for b in bad)
    }
    return found + broken_rules(values)


def _effective(given: Any, default: msgspec.Struct, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each setting's dotted path and the value it would have."""
    for name in default.__struct_fields__:
        fallback = getattr(default, name)
        value = given.get(name, fallback) if isinstance(given, Mapping) else fallback
        where = f"{path}.{name}"
        if isinstance(fallback, msgspec.Struct):
            yield from _effective(
                given.get(name, {}) if isinstance(given, Mapping) else {}, fallback, where
            )
        else:
            yield where, value


def _with_file(problem: Problem, names: Mapping[str, str]) -> str:
    section, _, rest = problem.path.partition(".")
    looks_secret = any(word in rest.lower() for word in _SECRET_WORDS)
    hint = "; credentials belong into secrets.env, see .env.example" if looks_secret else ""
    return f"{names[section]}: {Problem(rest, problem.text)}{hint}"
