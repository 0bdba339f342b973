"""Recorded answers and frames of the venue; each file names its source and licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent.parent / "data" / "hyperliquid-recorded"
NAMES = tuple(sorted(path.stem for path in DIRECTORY.glob("*.json")))


def response(name: str) -> Any:
    """The recorded answer, or for a websocket the list of frames."""
    return json.loads((DIRECTORY / f"{name}.json").read_text())["response"]


def raw(name: str) -> bytes:
    """The recorded answer as bytes."""
    return json.dumps(response(name)).encode()
