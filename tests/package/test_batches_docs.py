"""docs/batches.md and the RayJob: their commands are understood, and lead where results stay."""

import re
import shlex

import pytest
import yaml

from serve_app.tools.batch.command import model_of
from serve_app.tools.cli import _parser
from tests.package.crd import ROOT

TEXT = (ROOT / "docs/batches.md").read_text()
_, CLAIM, JOB = yaml.safe_load_all((ROOT / "configs/k8s/ray/rayjob.yaml").read_text())
IN_TEXT = [
    line.partition("#")[0]
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if "tandem batch" in line
]


@pytest.mark.parametrize("line", [*IN_TEXT, JOB["spec"]["entrypoint"]])
def test_commands_are_understood(line: str) -> None:
    options = _parser().parse_args(shlex.split(line)[1:])
    assert options.command == "batch"
    assert model_of(ROOT / options.config, options.model, None)["name"] == options.model


def test_every_option_that_the_text_names_is_one() -> None:
    known = {
        option
        for action in _parser()._subparsers._group_actions[0].choices["batch"]._actions  # type: ignore
        for option in action.option_strings
    }
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known
    assert known - {"-h", "--help", "--version", "--sampling"} <= set(re.findall(r"--[a-z-]+", TEXT))


def test_the_jobs_results_outlive_its_cluster() -> None:
    """Workers write them: what all pods mount, from a claim that is none of the job's."""
    spec = JOB["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    written = _parser().parse_args(shlex.split(JOB["spec"]["entrypoint"])[1:])
    for group in groups:
        pod = group["template"]["spec"]
        (box,) = pod["containers"]
        (mount,) = (one for one in box["volumeMounts"] if written.output.startswith(one["mountPath"]))
        (volume,) = (one for one in pod["volumes"] if one["name"] == mount["name"])
        assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
        assert any(written.input.startswith(f"{one['mountPath']}/") for one in box["volumeMounts"])
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    assert JOB["spec"]["backoffLimit"] > 0  # it goes on where it was


def test_the_jobs_workers_hold_what_is_asked_for() -> None:
    most = _parser().parse_args(shlex.split(JOB["spec"]["entrypoint"])[1:]).concurrency[1]
    spec = JOB["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    cores = int(spec["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert most == cores * spec["maxReplicas"]
