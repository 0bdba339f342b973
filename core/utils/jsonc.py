"""JSON as people write it: ``//`` and ``/* */`` comments allowed, everything doubtful refused.

Comments become blanks, so that every error names the line and column of the file. Knows nothing of
what the JSON means.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

# Strings come first, so that comment signs and words inside them are left alone.
_TOKENS = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<open>/\*)"
    r"|(?P<constant>-?Infinity|NaN)"
    r"|(?P<number>-?\d[\d.eE+-]*)",
    re.DOTALL,
)


def parse_jsonc(text: str) -> Any:
    """Parse JSON with comments.

    Raises
    ------
    json.JSONDecodeError
        With line and column: for broken JSON, an unclosed comment, a number that is not finite
        (``NaN``, ``Infinity``, ``1e999``), a key given twice in one object, or absurd nesting.
    """
    plain = _TOKENS.sub(lambda match: _checked_token(match, text), text)
    try:
        return json.loads(plain, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, text, error.pos) from None
    except _KeyTwiceError as error:
        raise json.JSONDecodeError(
            f"key {error.key!r} given twice in one object", text, _last_position(plain, error.key)
        ) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", text, 0) from None


class _KeyTwiceError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def _checked_token(match: re.Match[str], text: str) -> str:
    token = match.group()
    if match.lastgroup == "comment":
        return "".join("\n" if c == "\n" else " " for c in token)
    if match.lastgroup == "open":
        raise json.JSONDecodeError("comment is never closed", text, match.start())
    if match.lastgroup == "constant" or (match.lastgroup == "number" and _is_infinite(token)):
        raise json.JSONDecodeError(
            f"number should be finite, was {token[:20]}", text, match.start()
        )
    return token


def _is_infinite(token: str) -> bool:
    try:
        return not math.isfinite(float(token))
    except ValueError:
        return False  # malformed; the parser says so with its own position


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _KeyTwiceError(key)
        found[key] = value
    return found


def _last_position(text: str, key: str) -> int:
    matches = list(re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text))
    return matches[-1].start() if matches else 0
