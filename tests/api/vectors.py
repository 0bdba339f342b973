"""Published and generated signing vectors; the file names the source of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent.parent / "data" / "signing-vectors.json"
_CONTENT: dict[str, Any] = json.loads(_FILE.read_text())
RECOVERY: list[dict[str, Any]] = _CONTENT["recovery_vectors"]


def of_scheme(scheme: str) -> list[dict[str, Any]]:
    """Vectors of one scheme, at least one."""
    found = [v for v in _CONTENT["vectors"] if v["scheme"] == scheme]
    assert found, f"no vectors of {scheme}"
    return found


def name_of(vector: dict[str, Any]) -> str:
    """A vector's name, for test ids."""
    return str(vector["name"])
