"""What a start of Ray's nodes takes of a CPU: the manifests state it, the documentation has the figures,
and `tandem check` warns below it."""

import re
from pathlib import Path

import pytest

from serve_app.tools.kube.start_cost import LEAST_CPU
from tests.server import ROOT

MANIFESTS = (
    ROOT / "rayservice.yaml",
    ROOT / "configs/k8s/base/rayservice.yaml",
    ROOT / "configs/k8s/ray/raycluster.yaml",
    ROOT / "configs/k8s/ray/rayjob.yaml",
    ROOT / "configs/k8s/overlays/dev/small.yaml",
)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_manifest_states_what_a_start_takes(manifest: Path) -> None:
    said = re.findall(r"# A start [^\n]*", manifest.read_text())
    assert LEAST_CPU[True] in " ".join(said)
    assert LEAST_CPU[False] in " ".join(said)
    assert set(re.findall(r"\d+m", " ".join(said))) == set(LEAST_CPU.values())


def test_the_documentation_has_it() -> None:
    _, _, section = (ROOT / "docs/deploy.md").read_text().partition("## What a start costs")
    for least in LEAST_CPU.values():
        assert f"`{least}`" in section.partition("\n## ")[0]
