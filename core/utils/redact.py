"""Keep secrets out of every text a person or a file may see.

Knows what a private key looks like, and nothing of where texts come from.
"""

from __future__ import annotations

import re

STARS = "********"

# 64 hex digits are a private key (also a hash or half a signature, which are stars then, too).
_KEY_LIKE = re.compile(r"(?<![0-9a-zA-Z])(?:0[xX])?[0-9a-fA-F]{64,}")
_HEX_RUN = re.compile(r"[0-9a-fA-F]{64,}")


def scrub(text: str) -> str:
    """Replace everything that could be a private key by stars.

    Addresses (40 hex digits) and client order ids (32) stay readable.
    """
    return _HEX_RUN.sub(STARS, _KEY_LIKE.sub(STARS, text))
