"""Credentials: found where they may stand, refused where they may not, shown nowhere."""

from __future__ import annotations

import copy
import pickle
import subprocess
from pathlib import Path

import msgspec
import pytest

from core.model.errors import CredentialError, ExitCode
from core.utils.credential_manager import CredentialManager, Secret
from core.utils.redact import STARS, scrub

CANARY = "0x" + "4a" * 32
ADDRESS = "0x" + "Ab" * 20


def secret_file(tmp_path: Path, content: str, *, name: str = "secrets.env") -> Path:
    path = tmp_path / name
    path.write_text(content)
    path.chmod(0o600)
    return path


def manager(*paths: Path, **env: str) -> CredentialManager:
    return CredentialManager(env, paths)


def test_the_environment_wins_over_files_and_the_first_file_over_the_second(
    tmp_path: Path,
) -> None:
    first = secret_file(tmp_path, "A=file-1\nB='two words' # note\n")
    second = secret_file(tmp_path, "A=file-2\nC=$A\n", name=".env")
    found = manager(first, second, A="environment")
    assert found.get_credential("A").reveal() == "environment"
    assert manager(first, second).get_credential("A").reveal() == "file-1"
    assert manager(first, second).get_credential("B").reveal() == "two words"
    assert manager(first, second).get_credential("C").reveal() == "$A", "taken as written"


def test_what_is_missing_or_empty_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "HYPERLIQUID_AGENT_KEY=\n")
    with pytest.raises(CredentialError, match=r"HYPERLIQUID_AGENT_KEY should be set") as info:
        manager(path, HYPERLIQUID_AGENT_KEY="  ").private_key()
    assert "copy .env.example to secrets.env" in str(info.value)
    assert info.value.exit_code == ExitCode.CREDENTIAL


def test_it_is_constructible_without_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVA_TEST_CREDENTIAL", "x")
    assert CredentialManager().get_credential("NOVA_TEST_CREDENTIAL").reveal() == "x"


def test_a_key_comes_back_canonical() -> None:
    key = manager(HYPERLIQUID_AGENT_KEY=f" {CANARY.upper()} ").private_key()
    assert key.reveal() == CANARY


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        (CANARY[:-1], "was 63 hex digits"),
        (CANARY + "0", "was 65 hex digits"),
        (CANARY[2:], "was without 0x"),
        ("0x" + "4a" * 31 + "zz", "other characters"),
        (ADDRESS, "an address, not a key"),
        ("0x" + "0" * 64, "outside the range"),
        ("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", "outside the range"),
        ("abandon ability able about", "seed phrase"),
        ("0x", "was 0 hex digits"),
    ],
)
def test_a_malformed_key_is_described_and_never_repeated(value: str, flaw: str) -> None:
    with pytest.raises(CredentialError, match="should be 0x and 64 hex digits") as info:
        manager(HYPERLIQUID_AGENT_KEY=value).private_key()
    assert flaw in str(info.value)
    assert value.removeprefix("0x") == "" or value.removeprefix("0x") not in str(info.value)


def test_addresses_are_lowercase_and_checked() -> None:
    found = manager(HYPERLIQUID_ACCOUNT=ADDRESS, HYPERLIQUID_VAULT=ADDRESS)
    assert found.account() == found.vault() == ADDRESS.lower()
    assert manager().vault() is None
    with pytest.raises(CredentialError, match="HYPERLIQUID_ACCOUNT should be an address") as info:
        manager(HYPERLIQUID_ACCOUNT=CANARY).account()
    assert CANARY not in str(info.value), "somebody put the key here"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_a_file_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, f"HYPERLIQUID_AGENT_KEY={CANARY}\n")
    path.chmod(mode)
    with pytest.raises(CredentialError, match=f"was mode {mode:o}.*chmod 600") as info:
        manager(path).private_key()
    assert CANARY[2:] not in str(info.value)


def test_an_open_file_without_the_name_asked_for_does_not_matter(tmp_path: Path) -> None:
    harmless = secret_file(tmp_path, "COLOUR=blue\n", name=".env")
    harmless.chmod(0o644)
    path = secret_file(tmp_path, f"HYPERLIQUID_AGENT_KEY={CANARY}\n")
    assert manager(harmless, path).private_key().reveal() == CANARY


def test_a_file_that_git_tracks_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path, f"HYPERLIQUID_AGENT_KEY={CANARY}\n")

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    assert manager(path).private_key(), "in a repository, not tracked"
    git("add", "--force", path.name)
    with pytest.raises(CredentialError, match=r"never be in git.*git rm --cached"):
        manager(path).private_key()


def test_a_file_that_is_no_text_is_refused_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_bytes(b"HYPERLIQUID_AGENT_KEY=\xff\xfe" + CANARY.encode())
    with pytest.raises(CredentialError, match="readable text") as info:
        manager(path).private_key()
    assert CANARY[2:] not in str(info.value)
    assert info.value.__cause__ is None


def test_a_secret_shows_stars_and_nothing_else() -> None:
    secret = Secret(CANARY)
    for text in (repr(secret), str(secret), f"{secret:>90}", f"{secret!r}", f"{[secret]}"):
        assert STARS in text
        assert CANARY[2:] not in text
    assert not hasattr(secret, "__dict__")
    assert secret == Secret(CANARY) != Secret("other")
    assert secret != CANARY
    assert bool(secret)
    assert not Secret("")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, hash, msgspec.json.encode):
        with pytest.raises(TypeError):
            leak(secret)
    assert CANARY[2:] not in repr(manager(HYPERLIQUID_AGENT_KEY=CANARY))


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        CANARY[2:],
        CANARY.upper(),
        f"key={CANARY}!",
        f"x{CANARY[2:]}",
        f"{CANARY}{CANARY[2:]}",
    ],
)
def test_scrubbing_finds_keys_in_any_dress(text: str) -> None:
    cleaned = scrub(f"before {text} after {ADDRESS} 0x{'cd' * 16}")
    assert "4a4a4a4a" not in cleaned.lower()
    assert cleaned.startswith("before ")
    assert cleaned.endswith(f" after {ADDRESS} 0x{'cd' * 16}"), "addresses and cloids stay"


def test_the_example_file_names_every_credential_and_holds_none() -> None:
    example = Path(__file__).resolve().parents[2] / ".env.example"
    lines = [line for line in example.read_text().splitlines() if line and line[0] != "#"]
    names = ["AGENT_KEY", "ACCOUNT", "VAULT", "WATCHDOG_KEY"]
    assert lines == [f"HYPERLIQUID_{name}=" for name in names]
