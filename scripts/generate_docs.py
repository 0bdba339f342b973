"""Write ``docs/generated/configuration.md`` from the settings structs, which are the truth.

``python scripts/generate_docs.py`` writes it; ``--check`` exits with 1 if it is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec.inspect import Metadata, StructType, type_info

from core.model import settings

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "generated" / "configuration.md"
SECTIONS = (
    ("configs/trading_params.json", "", settings.TradingParams),
    ("configs/strategies_config.json", "scalping", settings.ScalpingParams),
    ("configs/strategies_config.json", "mean_reversion", settings.MeanReversionParams),
    ("configs/strategies_config.json", "grid_trading", settings.GridTradingParams),
    ("configs/strategies_config.json", "trend_following", settings.TrendFollowingParams),
    ("configs/strategies_config.json", "rl_ai", settings.RLAIParams),
    ("configs/strategies_config.json", "regime", settings.RegimeParams),
    ("configs/strategies_config.json", "selection", settings.SelectionParams),
)


def configuration_page() -> str:
    """Return the page: a table of every key with default, bounds and meaning."""
    lines = [
        "# Configuration keys",
        "",
        "Written by `scripts/generate_docs.py` from `core/model/settings.py`; do not edit.",
        "Ratios are fractions of 1, money is USDC.",
    ]
    for file, key, struct in SECTIONS:
        lines += ["", f"## {f'`{key}` in ' if key else ''}`{file}`", ""]
        lines += [(struct.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| key | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        lines += [_row(struct, field) for field in msgspec.structs.fields(struct)]
    return "\n".join(lines) + "\n"


def _row(struct: type[Any], field: msgspec.structs.FieldInfo) -> str:
    default = msgspec.json.encode(field.default).decode()
    hint = get_type_hints(struct, include_extras=True)[field.name]
    info = type_info(hint)
    return f"| `{field.name}` | `{default}` | {_allowed(info)} | {_description(info)} |"


def _description(info: Any) -> str:
    if isinstance(info, Metadata):
        return str((info.extra_json_schema or {}).get("description", "")) or _description(info.type)
    for part in getattr(info, "types", ()):
        if text := _description(part):
            return text
    return ""


def _allowed(info: Any) -> str:
    if isinstance(info, Metadata):
        return _allowed(info.type)
    if isinstance(info, StructType):
        return "an object"
    if hasattr(info, "types"):
        return " or ".join(_allowed(part) for part in info.types)
    if hasattr(info, "values"):
        return ", ".join(f"`{value}`" for value in info.values)
    bounds = [
        f"{sign} {getattr(info, name):g}"
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(info, name, None) is not None
    ]
    name = type(info).__name__.removesuffix("Type").lower()
    words = {"int": "integer", "float": "number", "str": "text", "bool": "true or false"}
    words |= {"none": "null", "vartuple": "a list", "list": "a list"}
    return " ".join([words.get(name, name), *bounds])


def main() -> int:
    """Write the page, or compare it."""
    page = configuration_page()
    if "--check" in sys.argv[1:]:
        is_fresh = TARGET.exists() and TARGET.read_text() == page
        if not is_fresh:
            sys.stderr.write(f"{TARGET.name} is out of date; run scripts/generate_docs.py\n")
        return 0 if is_fresh else 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
