"""rayservice.yaml against KubeRay's CRD, and proof that the check can fail."""

import copy
from typing import Any

import pytest
import yaml

from tests.package.crd import ROOT, problems


@pytest.fixture
def manifest() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "rayservice.yaml").read_text())


def test_schema(manifest: dict[str, Any]) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "sepc", {}),
        (("spec",), "serveConfigV3", ""),
        (("spec", "rayClusterConfig"), "rayversion", "2.60.0"),
        (("spec", "rayClusterConfig", "workerGroupSpecs", 0), "minReplica", 1),
        (("spec", "rayClusterConfig", "workerGroupSpecs", 0), "minReplicas", "1"),
        (("spec", "rayClusterConfig", "headGroupSpec", "template", "spec"), "terminationGracePeriod", 9),
        (("spec", "rayClusterConfig", "headGroupSpec", "rayStartParams"), "num-cpus", 0),
        (("spec", "rayClusterConfig", "authOptions"), "mode", "tokens"),
        (("spec", "rayClusterConfig", "headGroupSpec"), "template", None),
    ],
)
def test_schema_finds_mistakes(
    manifest: dict[str, Any], place: tuple[Any, ...], key: str, value: Any
) -> None:
    broken = copy.deepcopy(manifest)
    inner = broken
    for step in place:
        inner = inner[step]
    inner[key] = value
    (problem,) = problems(broken)
    assert key in problem
