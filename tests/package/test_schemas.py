"""rayservice.yaml against KubeRay's CRD, and proof that the check can fail."""

import copy
from typing import Any

import pytest
import yaml

from serve_app.tools.check.json_schema import strict
from tests.package.crd import ROOT, problems, validator

CRD = "ray.io_rayservices.yaml"


@pytest.fixture
def manifest() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "rayservice.yaml").read_text())


def test_schema(manifest: dict[str, Any]) -> None:
    assert problems(validator(CRD, "v1"), manifest) == []


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
    (problem,) = problems(validator(CRD, "v1"), broken)
    assert key in problem


def test_strict_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "size": {"anyOf": [{"type": "integer"}], "x-kubernetes-int-or-string": True, "pattern": "x"},
            "free": {"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "none": {"type": "string", "nullable": True},
            "properties": {"type": "object", "properties": {"nullable": {"type": "boolean"}}},
        },
    }
    assert strict(schema) == {
        "type": "object",
        "properties": {
            "size": {"type": ["integer", "string"]},
            "free": {"properties": {"a": {}}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "none": {"type": ["string", "null"]},
            "properties": {
                "type": "object",
                "properties": {"nullable": {"type": "boolean"}},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    }
