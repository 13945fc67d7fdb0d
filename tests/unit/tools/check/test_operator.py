"""The operator's rules: each mistake at its line, and what is nearest to it and right passes."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Finding

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "operator.yaml").read_text())
SERVE = "applications: [{name: a, import_path: 'mine:app'}]\n"


def group(name: str) -> dict[str, Any]:
    container = {"name": name, "image": "rayproject/ray:2.56.0", "resources": {"limits": {"cpu": 1}}}
    return {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}}


def cluster() -> dict[str, Any]:
    worker = {"groupName": "small", "replicas": 1, "minReplicas": 1, "maxReplicas": 3}
    return {
        "rayVersion": "2.56.0",
        "headGroupSpec": group("ray-head"),
        "workerGroupSpecs": [{**worker, **group("ray-worker")}],
    }


def manifest(kind: str, put: dict[str, Any]) -> str:
    """One of a kind, with some put over it."""
    own = cluster()
    job = {"entrypoint": "python a.py", "rayClusterSpec": own}
    spec: dict[str, Any] = {
        "RayCluster": own,
        "RayService": {"serveConfigV2": SERVE, "rayClusterConfig": own},
        "RayJob": job,
        "RayCronJob": {"schedule": "0 0 * * *", "jobTemplate": job},
    }[kind]
    head, (worker,) = own["headGroupSpec"], own["workerGroupSpecs"]
    meta: dict[str, Any] = {"name": "mine", "annotations": {}, "labels": {}}
    pods = {name: one["template"]["spec"] for name, one in (("head", head), ("worker", worker))}
    places = {
        "notes": meta["annotations"], "labels": meta["labels"], "spec": spec, "job": job,
        "cluster": own, "head": head, "worker": worker,
        "headpod": pods["head"], "workerpod": pods["worker"],
        "headbox": pods["head"]["containers"][0], "workerbox": pods["worker"]["containers"][0],
    }  # fmt: skip
    for place, values in copy.deepcopy(put).items():
        if place == "name":
            meta["name"] = values
        elif place == "second":
            own["workerGroupSpecs"].append({**copy.deepcopy(worker), **values})
        else:
            for key, value in values.items():
                there = places[place].get(key)
                both = isinstance(there, dict) and isinstance(value, dict)
                places[place][key] = {**there, **value} if both else value
    return yaml.safe_dump(
        {"apiVersion": "ray.io/v1", "kind": kind, "metadata": meta, "spec": spec}, sort_keys=False
    )


def found(folder: Path, text: str) -> list[Finding]:
    (folder / "manifest.yaml").write_text(text)
    return list(check(folder / "manifest.yaml", None))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['of']} {case['says']}")
def test_what_the_operator_refuses(tmp_path: Path, case: dict[str, Any]) -> None:
    text = manifest(case["of"], case["put"])
    every = found(tmp_path, text)
    hits = [one for one in every if case["says"] in one.what]
    assert hits, "\n".join(map(str, every))
    lines = [number for number, line in enumerate(text.splitlines(), 1) if case["at"] in line]
    assert hits[0].line in lines, (text, hits[0])
    assert hits[0].severity == ("warning" if case.get("warning") else "error")


@pytest.mark.parametrize(
    "case", [one for one in CASES if "fine" in one], ids=lambda case: f"{case['of']} {case['says']}"
)
def test_what_is_nearest_to_it_and_right(tmp_path: Path, case: dict[str, Any]) -> None:
    every = found(tmp_path, manifest(case["of"], case["fine"]))
    assert [one for one in every if one.severity == "error" or case["says"] in one.what] == []


def test_a_finding_says_where_the_rule_comes_from(tmp_path: Path) -> None:
    (one,) = (
        one
        for one in found(tmp_path, manifest("RayJob", {"spec": {"deletionStrategy": {}}}))
        if one.severity == "error"
    )
    assert one.why == "the operator refuses the resource: validateDeletionConfiguration"
