"""Where compiled kernels are kept, so that a start is fast and never runs stale machine code.

Numba notices a change in the file of a kernel, but not in the file of a kernel that it calls. Here
the cache folder is named by the hash of all kernel sources, so any change in any of them gives a
fresh folder. Kernels must therefore take callees and constants from kernel files only. This module
knows nothing of what the kernels compute.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

KERNEL_FILE_NAMES = ("indicators.py", "kernels.py")
CORE_ROOT = Path(__file__).resolve().parents[1]
_HASH_BYTES = 10
_APP_NAME = "hyperliquid-nova"
_VARIABLE = "NUMBA_CACHE_DIR"

F = TypeVar("F", bound=Callable[..., Any])


def kernel_source_hash(root: Path = CORE_ROOT) -> str:
    """Hash the names and contents of all kernel files under ``root``, in a fixed order.

    Parameters
    ----------
    root : Path
        Folder searched recursively for `KERNEL_FILE_NAMES`.

    Returns
    -------
    str
        Twenty hex digits.
    """
    digest = hashlib.blake2b(digest_size=_HASH_BYTES)
    found = (p for name in KERNEL_FILE_NAMES for p in root.rglob(name))
    for path in sorted(found, key=lambda p: p.relative_to(root).as_posix()):
        name, body = path.relative_to(root).as_posix().encode(), path.read_bytes()
        # Lengths keep "ab" + "c" and "a" + "bc" apart.
        digest.update(f"{len(name)}:{len(body)}:".encode() + name + body)
    return digest.hexdigest()


def cache_directory(environ: Mapping[str, str], root: Path = CORE_ROOT) -> Path:
    """Return (and create) the folder for compiled kernels.

    An explicit ``NUMBA_CACHE_DIR`` wins. Otherwise the folder lies in ``$XDG_CACHE_HOME`` or
    ``~/.cache``, and in a private temporary folder if that place cannot be written.
    """
    home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / _APP_NAME / "numba"
    explicit = environ.get(_VARIABLE, "")
    # A parent process of ours may have set the variable for other sources; then choose afresh.
    if explicit and Path(explicit).parent not in (home, _temporary_home()):
        return Path(explicit)
    source_hash = kernel_source_hash(root)
    for base in (home, _temporary_home()):
        directory = base / source_hash
        if _is_private_and_writable(directory):
            return directory
    return Path(tempfile.mkdtemp(prefix=f"{_APP_NAME}-"))


def configure() -> Path:
    """Point Numba at the cache folder of the current kernel sources; safe to call again."""
    directory = cache_directory(os.environ)
    os.environ[_VARIABLE] = str(directory)
    if "numba" in sys.modules:
        import numba

        config: Any = numba.config
        config.CACHE_DIR = str(directory)
    return directory


@overload
def njit(function: F) -> F: ...
@overload
def njit(**options: Any) -> Callable[[F], F]: ...
def njit(function: Any = None, **options: Any) -> Any:
    """Compile a kernel on first call and keep the machine code between runs.

    Used as ``@njit`` or ``@njit(option=…)``; ``cache=True`` unless said otherwise. With
    ``NUMBA_DISABLE_JIT=1`` the function stays plain Python and Numba is not even imported.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return function if function is not None else _unchanged
    configure()
    import numba

    decorate = numba.njit(**{"cache": True, **options})
    return decorate(function) if function is not None else decorate


def _unchanged(function: F) -> F:
    return function


def _temporary_home() -> Path:
    return Path(tempfile.gettempdir()) / f"{_APP_NAME}-numba-{os.getuid()}"


def _is_private_and_writable(directory: Path) -> bool:
    """Create ``directory`` if need be; trust it only if nobody else could have filled it.

    Cached kernels are executed, so a folder that another user owns or may write is refused.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.mkdir(exist_ok=True, mode=0o700)
        facts = [p.stat() for p in (directory.parent, directory)]
    except OSError:
        return False
    is_ours = all(f.st_uid == os.getuid() and not f.st_mode & 0o022 for f in facts)
    return is_ours and os.access(directory, os.W_OK | os.X_OK)
