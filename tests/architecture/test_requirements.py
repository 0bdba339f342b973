"""The pinned files hold hashes only, belong to ``pyproject.toml`` and agree with one another."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, listed

LOCKS = ("requirements-build.txt", "requirements.txt", "requirements-dev.txt")
PYTHONS = ("3.11", "3.12", "3.13")


def _entries(text: str) -> list[str]:
    """Join continued lines; drop comments."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [line for line in joined.splitlines() if line.strip()]


def _pins(name: str) -> dict[str, set[str]]:
    """Return the pinned versions of each package; markers may give it more than one."""
    pins: dict[str, set[str]] = {}
    for entry in _entries((ROOT / name).read_text(encoding="utf-8")):
        requirement = Requirement(entry.partition(" --hash")[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{name}: {requirement} should be pinned"
        pins.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return pins


def _wanted() -> dict[str, list[Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run = project["project"]["dependencies"]
    return {
        "requirements-build.txt": [Requirement(r) for r in project["dependency-groups"]["build"]],
        "requirements.txt": [Requirement(r) for r in run],
        "requirements-dev.txt": [
            Requirement(r) for r in run + project["project"]["optional-dependencies"]["dev"]
        ],
    }


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_nothing_else(name: str) -> None:
    entries = _entries((ROOT / name).read_text(encoding="utf-8"))
    assert entries
    form = re.compile(r"[\w.\[\]-]+==\S+( ; [^#@]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    offences = [f"{name}: {entry[:60]}" for entry in entries if not form.fullmatch(entry)]
    assert not offences, listed(offences)


@pytest.mark.parametrize("name", LOCKS)
def test_pins_satisfy_the_project(name: str) -> None:
    pins = _pins(name)
    for requirement in _wanted()[name]:
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{name} should pin {requirement.name}; run make lock"
        assert all(v in requirement.specifier for v in versions), f"{name}: {requirement}"


def test_development_pins_include_those_that_run() -> None:
    run, dev = _pins("requirements.txt"), _pins("requirements-dev.txt")
    assert {name: dev.get(name) for name in run} == run


def test_workflow_and_image_use_the_supported_pythons() -> None:
    workflow = (ROOT / ".github/workflows/ci_cd_pipeline.yml").read_text(encoding="utf-8")
    assert all(f'"{version}"' in workflow for version in PYTHONS)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"python:(\d\.\d+)", dockerfile)) == {"3.11"}
