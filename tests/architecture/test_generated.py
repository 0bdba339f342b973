"""Pages written from code are as fresh as the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import msgspec

from core.model import settings

ROOT = Path(__file__).resolve().parents[2]


def _script() -> ModuleType:
    path = ROOT / "scripts" / "generate_docs.py"
    spec = importlib.util.spec_from_file_location("generate_docs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_is_fresh() -> None:
    script = _script()
    assert script.TARGET.read_text() == script.configuration_page(), (
        "docs/generated is out of date; run scripts/generate_docs.py"
    )


def test_the_protocol_page_is_fresh() -> None:
    script = _script()
    assert script.PROTOCOL.read_text() == script.protocol_page(), (
        "docs/generated is out of date; run scripts/generate_docs.py"
    )


def test_every_name_that_is_served_is_on_the_protocol_page() -> None:
    protocol = _script().Protocol()
    for path in ("info", "exchange", "websocket"):
        names, served = protocol.names[path], protocol.served(path)
        assert served <= set(names), path
        unexplained = {name for name, note in names.items() if not note} - served
        assert unexplained <= set(protocol.names["always_refused"]), path


def test_every_key_is_explained() -> None:
    page = _script().configuration_page()
    for struct in (settings.TradingParams, settings.ScalpingParams, settings.RegimeParams):
        for field in msgspec.structs.fields(struct):
            row = next(r for r in page.splitlines() if r.startswith(f"| `{field.name}` |"))
            assert not row.endswith("|  |"), f"{field.name} has no description"
