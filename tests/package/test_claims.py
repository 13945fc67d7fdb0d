"""What a widely read article says of Ray and KubeRay, where a look at them is enough to tell."""

import subprocess
import sys
from pathlib import Path

import pytest
import ray
import yaml

from tests.package.crd import crd_folder

OPTIONS = ("--max-restarts", "--no-stdout", "--headless")


def test_ray_start_has_no_such_options() -> None:
    ray_command = Path(sys.executable).with_name("ray")
    done = subprocess.run(
        [str(ray_command), "start", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--head" in done.stdout
    assert [option for option in OPTIONS if option in done.stdout.replace(",", " ").split()] == []


def test_ray_reads_no_such_variable() -> None:
    files = list(Path(ray.__file__).parent.glob("_private/**/*.py"))
    assert len(files) > 50
    assert not any("RAY_ENABLE_METRICS" in file.read_text() for file in files)


@pytest.mark.parametrize("kind", ["rayclusters", "rayservices"])
def test_nothing_can_scale_these_by_their_subresource(kind: str) -> None:
    """Which is what a KEDA ScaledObject does with its target."""
    crd = yaml.load((crd_folder() / f"ray.io_{kind}.yaml").read_text(), yaml.CSafeLoader)
    versions = crd["spec"]["versions"]
    assert versions
    assert not any("scale" in version.get("subresources", {}) for version in versions)
