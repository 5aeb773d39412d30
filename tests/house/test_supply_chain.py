"""What we install: known vulnerabilities, the bill of materials, pinned actions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = ROOT / "requirements" / "production.txt"
PIN = re.compile(r"^([a-z0-9._-]+)==([^\s;]+)", re.MULTILINE | re.IGNORECASE)
ACTION = re.compile(r"uses:\s*(\S+)")


def _pins() -> dict[str, str]:
    return {name.lower(): version for name, version in PIN.findall(LOCKED.read_text(encoding="utf-8"))}


def test_no_locked_package_has_a_known_vulnerability() -> None:
    audit = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--requirement", str(LOCKED),
         "--format", "json", "--progress-spinner", "off", "--timeout", "5"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if not audit.stdout.startswith("{"):
        assert "requests.exceptions." in audit.stderr, audit.stderr[-2000:]
        pytest.skip("the vulnerability service was not reached")
    packages: list[dict[str, Any]] = json.loads(audit.stdout)["dependencies"]
    assert {package["name"].lower() for package in packages} <= _pins().keys()
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        pytest.skip("the vulnerability service knows none of the packages")
    found = {package["name"]: [entry["id"] for entry in package["vulns"]] for package in audited if package["vulns"]}
    assert not found, f"raise these and lock again with `make lock`: {found}"


def test_the_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    target = tmp_path / "sbom.cdx.json"
    subprocess.run(["make", "--silent", "sbom", f"SBOM={target}"], cwd=ROOT, timeout=120, check=True)
    document = json.loads(target.read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "meetbot-calendar"
    listed = {component["name"].lower(): component["version"] for component in document["components"]}
    assert listed == _pins()
    for component in document["components"]:
        assert component["purl"].startswith("pkg:pypi/")
        hashes = [entry for source in component["externalReferences"] for entry in source["hashes"]]
        assert {entry["alg"] for entry in hashes} == {"SHA-256"}


def test_every_action_of_a_workflow_is_pinned_to_a_commit() -> None:
    loose = [
        f"{path.name}: {action}"
        for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
        for action in ACTION.findall(path.read_text(encoding="utf-8"))
        if not re.search(r"@[0-9a-f]{40}$", action)
    ]
    assert not loose
