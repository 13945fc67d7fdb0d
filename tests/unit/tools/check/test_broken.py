"""Manifests with one mistake each: found at its line, for the right reason."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Finding
from tests.package.crd import ROOT, crd_folder

SERVICE = (ROOT / "rayservice.yaml").read_text()
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text())


def found(path: Path, crds: Crds | None = None) -> list[Finding]:
    return [one for one in check(path, crds) if one.severity != "note"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_a_mistake_in_a_service(tmp_path: Path, case: dict[str, Any]) -> None:
    assert case["old"] in SERVICE
    text = SERVICE.replace(case["old"], case["new"], 1)
    (tmp_path / "service.yaml").write_text(text)
    crds = Crds(crd_folder()) if case.get("schema") else None
    all_found = found(tmp_path / "service.yaml", crds)
    hits = [one for one in all_found if case["says"] in one.what]
    assert hits, "\n".join(map(str, all_found))
    mark = case["at"]
    lines = {text[:at].count("\n") + 1 for at in range(len(text)) if text.startswith(mark, at)}
    assert hits[0].line in lines, f"{hits[0]}, not at {lines}"
    assert hits[0].subject.startswith("RayService/")


def test_without_a_mistake_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE)
    assert found(tmp_path / "service.yaml") == []
