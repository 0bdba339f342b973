"""Find credentials without ever showing them.

Knows where credentials may stand and what each looks like; knows nothing of signing.
"""

from __future__ import annotations

import hmac
import os
import shutil
import stat
import subprocess  # nosec B404
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from core.model.errors import CredentialError
from core.model.ids import is_address
from core.utils.redact import STARS

AGENT_KEY = "HYPERLIQUID_AGENT_KEY"
ACCOUNT = "HYPERLIQUID_ACCOUNT"
VAULT = "HYPERLIQUID_VAULT"
WATCHDOG_KEY = "HYPERLIQUID_WATCHDOG_KEY"
SECRET_FILES = ("secrets.env", ".env")

_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_KEY_DIGITS = 64
_GIT_SECONDS_MAX = 5.0
_HEX = frozenset("0123456789abcdefABCDEF")


class Secret:
    """A value that prints as stars everywhere; only `reveal` gives it away.

    It cannot be pickled, copied, encoded or formatted into the open by accident.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets apart

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        """Write stars."""
        return f"Secret({STARS})"

    def __str__(self) -> str:
        """Write stars."""
        return STARS

    def __format__(self, spec: str) -> str:
        """Write stars, whatever the format."""
        return STARS

    def __bool__(self) -> bool:
        """Tell whether there is a value at all."""
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a Secret should stay in memory, was asked to be copied or pickled")


class CredentialManager:
    """Look credentials up in the environment, then in secret files.

    Parameters
    ----------
    env : mapping, optional
        Variables; the process environment if not given.
    paths : sequence of path
        Secret files, the first that has a name wins. A file that has the name asked for must
        belong to its owner alone (``chmod 600``) and must not be tracked by git.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        paths: Sequence[str | Path] = SECRET_FILES,
    ) -> None:
        self._env = os.environ if env is None else env
        self._paths = tuple(Path(p) for p in paths)

    def __repr__(self) -> str:
        """Name the files, never their content."""
        return f"CredentialManager(paths={[str(p) for p in self._paths]})"

    def get_credential(self, name: str) -> Secret:
        """Return one credential.

        Raises
        ------
        CredentialError
            If it is set nowhere, or in a file that others may read or that git tracks.
        """
        value = self._find(name)
        if value is None:
            files = " or ".join(str(p) for p in self._paths)
            raise CredentialError(
                f"{name} should be set in the environment or in {files}, was missing; "
                "copy .env.example to secrets.env, fill it in, and chmod 600 secrets.env"
            )
        return Secret(value)

    def private_key(self, name: str = AGENT_KEY) -> Secret:
        """Return an agent's private key as ``0x`` and 64 lowercase hex digits.

        Raises
        ------
        CredentialError
            If it is missing or malformed; the text says how without repeating it.
        """
        key = self.get_credential(name).reveal().lower()
        digits = key.removeprefix("0x")
        flaw = _key_flaw(key, digits)
        if flaw:
            raise CredentialError(
                f"{name} should be 0x and {_KEY_DIGITS} hex digits, {flaw}; "
                "create an agent wallet (API wallet) at the venue and use its private key"
            )
        return Secret(key)

    def account(self) -> str:
        """Return the address of the account to trade for, in lowercase.

        Raises
        ------
        CredentialError
            If it is missing or no address.
        """
        return _address(ACCOUNT, self.get_credential(ACCOUNT).reveal())

    def vault(self) -> str | None:
        """Return the address of the vault or sub-account to trade for, ``None`` if not set."""
        value = self._find(VAULT)
        return None if value is None else _address(VAULT, value)

    def _find(self, name: str) -> str | None:
        value = self._env.get(name, "").strip()
        if value:
            return value
        for path in self._paths:
            value = _read(path).get(name, "").strip()
            if value:
                _refuse_exposed(path)
                return value
        return None


def _key_flaw(key: str, digits: str) -> str:
    """Say what is wrong with a key without saying the key; empty if nothing is."""
    if len(key.split()) > 1:
        return "was several words (a seed phrase belongs nowhere near a trading program)"
    if not set(digits) <= _HEX:
        return "was text with other characters"
    if len(digits) == 40:
        return "was 40 hex digits (that is an address, not a key)"
    if len(digits) != _KEY_DIGITS:
        return f"was {len(digits)} hex digits"
    if not key.startswith("0x"):
        return "was without 0x"
    if not 0 < int(digits, 16) < _SECP256K1_ORDER:
        return "was outside the range of private keys"
    return ""


def _address(name: str, value: str) -> str:
    address = value.lower()
    if not is_address(address):
        # The value may be a key in the wrong place, so only its shape is told.
        raise CredentialError(
            f"{name} should be an address (0x and 40 hex digits), was a text of {len(value)} "
            "characters; copy the address of your main account from the venue"
        )
    return address


def _read(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(
            f"secret file should be readable text, was not: {path} ({type(error).__name__}); "
            "make it yours and chmod 600 it"
        ) from None
    return {name: value for name, value in values.items() if value}


def _refuse_exposed(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise CredentialError(
            f"secret file should be readable by its owner only (mode 600), was mode {mode:o}: "
            f"{path}; run: chmod 600 {path} — and replace the key if others use this machine"
        )
    if _is_tracked(path.resolve()):
        raise CredentialError(
            f"secret file should never be in git, was tracked: {path}; run: "
            f"git rm --cached {path} — and replace the key, history keeps it"
        )


def _is_tracked(path: Path) -> bool:
    """Ask git whether it tracks the file; without git, or outside a repository, it does not."""
    git = shutil.which("git")
    if git is None:
        return False
    try:
        # A fixed program and arguments, no shell.
        done = subprocess.run(  # nosec B603
            [git, "ls-files", "--error-unmatch", "--", path.name],
            cwd=path.parent,
            capture_output=True,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
