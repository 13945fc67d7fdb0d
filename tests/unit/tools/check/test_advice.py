"""Advice is a warning, and only where it is true."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check import fit_together, rules, verdict
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Report
from tests.unit.tools.check.test_operator import found, manifest

PROXY, MODE = "RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"


def env(**variables: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in variables.items()]}


def cpus(role: str, **given: Any) -> dict[str, Any]:
    """`requests` or `limits` of Ray's container."""
    return {
        f"{role}box": {
            "resources": {"limits": {}, **{key: {"cpu": value} for key, value in given.items()}}
        }
    }


@pytest.mark.parametrize(
    ("kind", "put", "at", "says"),
    [
        ("RayService", {"headpod": {"terminationGracePeriodSeconds": 9}}, "Seconds: 9",
         "9, while Ray drains"),
        ("RayService", {"headbox": {"lifecycle": {"preStop": {"exec": {"command": ["ray stop"]}}}}},
         "preStop", "skips the drain"),
        ("RayService", {}, "rayStartParams", "replicas may run on the head"),
        *((kind, {"cluster": {"authOptions": mode}}, at, "no token is asked for")
          for kind in ("RayService", "RayCluster", "RayJob")
          for mode, at in ((None, "auth"), ({}, "auth"), ({"mode": "disabled"}, "disabled"))),
        ("RayCluster", {"headbox": env(HF_TOKEN="hf_abc")}, "HF_TOKEN", "HF_TOKEN in plain text"),
        ("RayCluster", {"workerbox": env(AWS_SECRET_ACCESS_KEY="abc")}, "AWS_", "in plain text"),
        ("RayCluster", {"headbox": env(DB_PASSWORD="p4ss")}, "DB_", "DB_PASSWORD in plain text"),
        ("RayCluster", {"cluster": {"gcsFaultToleranceOptions": {"redisPassword": {"value": "p"}}}},
         "value: p", "a password in plain text"),
        ("RayCluster", {"worker": {"rayStartParams": {"num-gpus": "2"}}}, "num-gpus",
         "2, and the container has 0"),
        ("RayCluster", {"worker": {"rayStartParams": {"memory": "9"}},
                        "workerbox": {"resources": {"limits": {"memory": "8"}}}}, "memory: '9'",
         "9, and the container has 8"),
        ("RayCluster", {"headbox": {"image": "rayproject/ray:2.41.0"}}, "2.41.0", "but rayVersion is"),
        ("RayCluster", {"headbox": {"image": "rayproject/ray:latest"}}, "latest", "names no version"),
        ("RayCluster", {"workerbox": {"image": "rayproject/ray:2.56.0-py312"}}, "py312",
         "but the head has"),
        ("RayCluster", {"headbox": {"ports": [{"name": "client", "containerPort": 10001}]}}, "ports:",
         "no port 6379"),
        ("RayCluster", {"head": {"rayStartParams": {"port": "6380"}},
                        "headbox": {"ports": [{"name": "client", "containerPort": 10001}]}}, "ports:",
         "no port 6380"),
        ("RayCluster", {"workerbox": env(RAY_SERVE_LOG_ENCODING="JSON")}, "LOG_ENCODING",
         "not set on the head"),
        ("RayService", {"headbox": {"ports": [{"name": "dashboard", "containerPort": 8265},
                                              {"name": "serve-grpc", "containerPort": 9000}]}},
         "ports:", "no port named `serve` for HTTP"),
        # Ray's agents have 30 s, on a machine that gives no more than was asked for
        ("RayCluster", cpus("worker", requests="100m"), "cpu: 100m",
         "100m CPU is asked for, and a worker of Ray's needs"),
        ("RayJob", cpus("head", requests=0.1, limits=2), "cpu: 0.1", "0.1 CPU is asked for, and a head"),
        ("RayService", cpus("head", limits="100m"), "resources:", "100m CPU is asked for, and a head"),
        ("RayService", {"workerbox": {"resources": {"limits": {"memory": "4Gi"}}}}, "resources:",
         "no CPU is asked for, and a worker"),
    ],
)  # fmt: skip
def test_advice(tmp_path: Path, kind: str, put: dict[str, Any], at: str, says: str) -> None:
    text = manifest(kind, put)
    hits = [one for one in found(tmp_path, text) if says in one.what]
    assert hits
    assert hits[0].severity == "warning"
    assert at in text.splitlines()[hits[0].line - 1]


@pytest.mark.parametrize(
    ("kind", "put", "says"),
    [
        # what is advice for a service is none for a cluster that serves nothing
        ("RayCluster", {"headpod": {"terminationGracePeriodSeconds": 9}}, "while Ray drains"),
        ("RayJob", {"headbox": {"lifecycle": {"preStop": {"exec": {"command": ["ray stop"]}}}}},
         "skips the drain"),
        ("RayCluster", {}, "may run on the head"),
        ("RayJob", {"cluster": {"authOptions": {"mode": "token"}}}, "no token"),
        ("RayJob", {"headbox": env(RAY_AUTH_MODE="token")}, "no token"),  # by hand, as before the option
        ("RayCluster", {"cluster": {"rayVersion": "2.40.0"}}, "no token"),
        ("RayService", {"head": {"rayStartParams": {"num-cpus": "0"}}}, "may run on the head"),
        *(("RayCluster", cpus(role, **given), "CPU is asked for")
          for role in ("head", "worker")
          for given in ({"requests": 0.5}, {"requests": "500m"}, {"limits": "1"}, {"requests": "$CPU"})),
        # a word inside of a word, a switch, a number or a place is no secret
        *(("RayCluster", {"headbox": env(**{name: value})}, "in plain text") for name, value in (
            ("TOKENIZERS_PARALLELISM", "false"), ("TOKENIZERS_MODE", "fast"), ("MAX_TOKENS", "100"),
            ("USE_TOKEN", "true"), ("HF_TOKEN", ""), ("HF_TOKEN_PATH", "x"), ("API_TOKEN", "/run/token"),
            ("RAY_AUTH_MODE", "token"), ("PASSWORDLESS", "sure"), ("API_KEY", "$(OTHER)"))),
        ("RayCluster", {"headbox": {"env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {}}}]}},
         "in plain text"),
        # "0", "false" and nothing mean off
        *(("RayService", {"headbox": env(**{PROXY: off})}, PROXY) for off in ("0", "false", "")),
        ("RayService", {"headbox": env(**{MODE: "0"})}, "proxies"),
        ("RayCluster", {"headbox": {"image": "registry:5000/ray@sha256:0"}}, "names no version"),
        ("RayCluster", {"headbox": {"image": "$RAY_IMAGE"}}, "names no version"),
        ("RayCluster", {"worker": {"rayStartParams": {"memory": "9"}}}, "the container"),
        ("RayCluster", {"headbox": {"image": "myarray:1.2.3"}}, "but rayVersion is"),
        # where the head listens elsewhere, as in Ray's page on its configuration ("non-default ports")
        ("RayCluster", {"head": {"rayStartParams": {"port": "6380"}},
                        "headbox": {"ports": [{"name": "gcs", "containerPort": 6380}]}}, "(gcs)"),
    ],
)  # fmt: skip
def test_where_there_is_none(tmp_path: Path, kind: str, put: dict[str, Any], says: str) -> None:
    assert [one.what for one in found(tmp_path, manifest(kind, put)) if says in one.what] == []


def test_modes_that_differ_are_an_error(tmp_path: Path) -> None:
    every = found(tmp_path, manifest("RayService", {"headbox": env(**{PROXY: "1"})}))
    (one,) = (one for one in every if PROXY in one.what)
    assert (one.severity, one.what) == ("error", f"{PROXY} is not set here and '1' on the head")


def serving(deployments: str, **put: Any) -> str:
    config = f"applications: [{{name: a, import_path: 'm:a', deployments: [{deployments}]}}]\n"
    return manifest("RayService", {"spec": {"serveConfigV2": config}, **put})


def test_room_is_asked_for_what_is_known_alone(tmp_path: Path) -> None:
    """What a config doesn't say of others' deployments is said in their code."""

    def missing(text: str) -> list[str]:
        return [
            one.what
            for one in found(tmp_path, text)
            if "no pod offers" in one.what or "all re" in one.what
        ]

    assert missing(serving("{name: d, num_replicas: 99}")) == []
    assert (
        missing(serving("{name: d, ray_actor_options: {resources: {'node:__internal_head__': 1}}}"))
        == []
    )
    no_limits = {"workerbox": {"resources": {"limits": None}}}
    assert missing(serving("{name: d, ray_actor_options: {num_cpus: 64}}", **no_limits)) == []
    assert missing(serving("{name: d, ray_actor_options: {num_cpus: 64}}"))
    tpu = {"workerbox": {"resources": {"limits": {"cpu": 1, "google.com/tpu": 4}}}}
    assert missing(serving("{name: d, ray_actor_options: {resources: {TPU: 4}}}", **tpu)) == []
    assert missing(serving("{name: d, num_replicas: 9, ray_actor_options: {num_cpus: 1}}"))


@pytest.mark.parametrize("name", ["CPU", "GPU"])
def test_what_ray_refuses_waits_for_no_room(tmp_path: Path, name: str) -> None:
    """Ray takes neither among `resources` (ray/_common/ray_option_utils.py): nothing stays pending."""
    text = serving(f"{{name: d, ray_actor_options: {{resources: {{{name}: 1}}}}}}")
    (one,) = (one.what for one in found(tmp_path, text) if one.severity == "error")
    assert "'num_cpus' and 'num_gpus'" in one


@pytest.mark.parametrize(
    ("replicas", "more", "waits"),
    [(3, "", False), (4, "", True), (4, ", max_surge_percent: 0", False), (99, "", False)],
)
def test_new_replicas_need_room_beside_old_ones(tmp_path: Path, replicas, more, waits) -> None:
    """Head and workers offer 4 CPUs; a replica takes one."""
    args = f"{{modelFormat: python, class: 'a:B', replicas: {replicas}}}"
    config = (
        "applications: [{name: a, import_path: 'serve_app.app:build_model', route_prefix: null, "
        f"args: {args}, deployments: [{{name: ModelReplica{more}}}]}}]\n"
    )
    every = found(tmp_path, manifest("RayService", {"spec": {"serveConfigV2": config}}))
    hits = [one for one in every if "new replicas beside old ones" in one.what]
    assert [one.severity for one in hits] == ["warning"] * waits


FULL = {
    "cluster": {"enableInTreeAutoscaling": True, "autoscalerOptions": {"version": "v2"}},
    "notes": {"ray.io/ft-enabled": "true"},
    "worker": {"labels": {"a": "b"}},
    "headbox": {"env": [{"name": "A", "value": "b"}], "ports": [{"name": "serve", "containerPort": 1}]},
}


def parts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from parts(inner, (*place, key))
    if isinstance(value, list) and value:
        yield from parts(value[0], (*place, 0))


@pytest.mark.no_cover
@pytest.mark.parametrize("odd", [None, 3, "x", True, ["x"], {"a": []}], ids=str)
@pytest.mark.parametrize("kind", ["RayService", "RayJob", "RayCronJob", "RayCluster"])
def test_a_wrong_type_anywhere_is_no_traceback(kind: str, odd: Any) -> None:
    whole = yaml.safe_load(manifest(kind, FULL))
    for place in parts(whole):
        data = around = copy.deepcopy(whole)
        for step in place[:-1]:
            around = around[step]
        around[place[-1]] = odd
        document = Document(data, Report("f"))
        resource = rules.Resource.of(document)
        for table in verdict.TABLES:
            found = list(rules.check(table, resource))
            assert [one.what for one in found if "ended in" in one.what] == []
        fit_together.check([document])
