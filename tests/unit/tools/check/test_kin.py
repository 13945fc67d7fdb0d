"""More that a deploy, an API server or an operator would stumble over, each at its line."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.check.configs import ROOT
from tests.unit.tools.check.manifests import ISVC, found, said

SERVICE = (ROOT / "rayservice.yaml").read_text()


def changed(*pairs: tuple[str, str]) -> str:
    text = SERVICE
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def hit(tmp_path: Path, text: str, mark: str, says: str) -> Any:
    all_found = found(tmp_path, text)
    hits = [one for one in all_found if says in one.what]
    assert hits, said(all_found)
    assert mark in text.splitlines()[hits[0].line - 1], hits[0]
    return hits[0]


def test_replicas_for_which_there_are_too_few_nodes(tmp_path: Path) -> None:
    """Serve: "the max number of replicas that can run on a single node"."""
    text = changed(("num_replicas: 2\n", "num_replicas: 40\n"))
    hit(
        tmp_path,
        text,
        "name: Router",
        "40 replicas of deployment Router of application tandem, max_repl",
    )
    fits = text.replace("num_replicas: 40\n", "num_replicas: 3\n")
    assert not [one for one in found(tmp_path, fits) if "max_replicas_per_node" in one.what]


def test_a_variable_of_serves_that_is_misspelt(tmp_path: Path) -> None:
    old = "name: RAY_SERVE_ENABLE_HA_PROXY"
    for new in ("RAY_SERVE_ENABLE_HAPROXY", "RAY_SEVRE_ENABLE_HA_PROXY"):
        one = hit(tmp_path, changed((old, f"name: {new}")), new, f"{new}: Serve reads no such variable")
        assert "did you mean RAY_SERVE_ENABLE_HA_PROXY?" in one.what
        assert one.severity == "warning"


@pytest.mark.parametrize(("value", "says"), [("1", 'number 1: "1"'), ("true", 'flag true: "true"')])
def test_a_variable_is_text(tmp_path: Path, value: str, says: str) -> None:
    """EnvVar.value is a string: the API server refuses another."""
    text = changed(('value: "1"', f"value: {value}"))
    one = hit(tmp_path, text, f"value: {value}", f"a variable is text, not the {says}")
    assert one.severity == "error"


def test_ports_where_ray_doesnt_listen(tmp_path: Path) -> None:
    text = changed(("rayStartParams:\n", 'rayStartParams:\n        dashboard-port: "8266"\n'))
    hit(
        tmp_path,
        text,
        "ports:",
        "the port `dashboard` is 8265, but Ray listens on 8266 (dashboard-port)",
    )


@pytest.mark.parametrize("name", ["model", "sklearn"])
def test_requests_above_limits_in_kserves_model(tmp_path: Path, name: str) -> None:
    """Kubernetes' rule for containers; KServe makes one of `model`."""
    own = "modelFormat: {name: x}, " if name == "model" else ""
    model = f"{name}:\n      {{{own}storageUri: 'pvc://a/b', resources: {{limits: {{cpu: 1}},\n"
    text = ISVC.format(notes="", predictor=model + "       requests: {cpu: 2}}}")
    hit(tmp_path, text, "requests: {cpu: 2}", "2 is more than the limit, 1")


def test_a_good_manifest_stays_one(tmp_path: Path) -> None:
    assert found(tmp_path, SERVICE) == []
