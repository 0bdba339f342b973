"""Compiled kernels must never outlive the sources they were compiled from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.utils import numba_cache
from core.utils.numba_cache import cache_directory, kernel_source_hash

CALLEE = "from core.utils.numba_cache import njit\n\n@njit\ndef step_nb(x):\n    return x + {by}\n"
CALLER = (
    "from core.utils.numba_cache import njit\nfrom indicators import step_nb\n\n"
    "@njit\ndef twice_nb(x):\n    return step_nb(step_nb(x))\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "utils").mkdir()
    (tmp_path / "engines").mkdir()
    (tmp_path / "utils" / "indicators.py").write_text(CALLEE.format(by=1))
    (tmp_path / "engines" / "kernels.py").write_text(CALLER)
    return tmp_path


def test_a_changed_callee_in_another_file_gives_another_folder(root: Path, tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    before = cache_directory(environ, root)
    (root / "utils" / "indicators.py").write_text(CALLEE.format(by=2))
    after = cache_directory(environ, root)
    assert before != after
    assert before.parent == after.parent == tmp_path / "cache" / "hyperliquid-nova" / "numba"


def test_files_that_hold_no_kernels_do_not_matter(root: Path) -> None:
    before = kernel_source_hash(root)
    (root / "engines" / "trading_engine.py").write_text("x = 1\n")
    assert kernel_source_hash(root) == before


def test_moving_code_between_files_changes_the_hash(root: Path) -> None:
    before = kernel_source_hash(root)
    (root / "utils" / "indicators.py").rename(root / "engines" / "indicators.py")
    assert kernel_source_hash(root) != before


def test_an_explicit_folder_wins(root: Path, tmp_path: Path) -> None:
    environ = {"NUMBA_CACHE_DIR": str(tmp_path / "mine"), "XDG_CACHE_HOME": str(tmp_path)}
    assert cache_directory(environ, root) == tmp_path / "mine"


def test_a_folder_inherited_from_our_parent_process_is_chosen_afresh(
    root: Path, tmp_path: Path
) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    stale = tmp_path / "hyperliquid-nova" / "numba" / "00112233445566778899"
    inherited = cache_directory({**environ, "NUMBA_CACHE_DIR": str(stale)}, root)
    assert inherited == cache_directory(environ, root) != stale


def test_an_unusable_cache_home_falls_back_to_a_private_temporary_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    directory = cache_directory({"XDG_CACHE_HOME": str(blocked)}, root)
    assert directory.parent == tmp_path / f"hyperliquid-nova-numba-{os.getuid()}"
    assert directory.stat().st_mode & 0o077 == 0


def test_a_folder_others_may_write_is_never_executed_from(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    planted = tmp_path / f"hyperliquid-nova-numba-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    directory = cache_directory({"XDG_CACHE_HOME": str(blocked)}, root)
    assert directory.parent == tmp_path
    assert directory.stat().st_mode & 0o077 == 0


def test_kernels_compile_into_the_folder_and_follow_their_callee(
    root: Path, tmp_path: Path
) -> None:
    """The story the folder exists for: change only the callee, run the cached caller again."""
    (root / "indicators.py").write_text(CALLEE.format(by=1))
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r}); sys.path.insert(0, 'ROOM')\n"
        "from pathlib import Path\n"
        "import core.utils.numba_cache as c\n"
        f"c.cache_directory.__defaults__ = (Path({str(root)!r}),)\n"
        "from kernels import twice_nb\n"
        "print(twice_nb(1))\n"
    ).replace("ROOM", str(root / "engines"))
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environ.pop("NUMBA_CACHE_DIR", None)
    environ.pop("NUMBA_DISABLE_JIT", None)

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environ, cwd=numba_cache.CORE_ROOT.parent, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run() == "3"
    assert list((tmp_path / "cache").rglob("*.nbc")), "compiled code should be kept"
    (root / "indicators.py").write_text(CALLEE.format(by=5))
    assert run() == "11"


def test_with_the_compiler_disabled_kernels_are_plain_python() -> None:
    program = (
        "import sys\nfrom core.utils.numba_cache import njit\n"
        "@njit\ndef a_nb(x): return x + 1\n"
        "@njit(nogil=True)\ndef b_nb(x): return x + 2\n"
        "print(a_nb(1), b_nb(1), 'numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=numba_cache.CORE_ROOT.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["2", "3", "False"], done.stderr
