"""What kustomize takes, and what it says of what it doesn't: both as `kubectl kustomize` does."""

from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.kube.kustomize import build
from tests.unit.tools.kustomized import THING, write


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({"target": {"kind": "Pod"}, "patch": "- {op: remove, path: /data}"}, {}),
        ({"target": {"name": "no.*"}, "patch": "kind: Pod\nmetadata: {name: b}\nx: 1"}, {}),
        ({"patch": "- {op: replace, path: /data/y, value: z}"}, {"y": "z"}),
    ],
)
def test_patches_that_kustomize_takes(tmp_path: Path, patch: Any, data: Any) -> None:
    """A target that selects nothing is none of its errors, nor a replaced key that wasn't there."""
    patch = {"target": {"kind": "ConfigMap"}} | patch
    write(tmp_path, thing=THING, kustomization={"resources": ["thing.yaml"], "patches": [patch]})
    (one,) = build(tmp_path)
    assert one.data["data"] == {"x": "1", "image": "im:1"} | data
