"""Prometheus against a live Serve under load: every query of the dashboard and every rule has data."""

import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from loadtests.rolling.model import publish
from serve_app.ports import free_port
from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, column, until
from tests.server import ROOT, Server

DASHBOARD = json.loads((ROOT / "configs/dashboards/tandem.json").read_text())
ALERTS = ROOT / "configs/alerts/tandem.rules.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
EXPRESSIONS = [
    pytest.param(panel["title"], target["expr"], id=f"{panel['title']}: {target['legendFormat']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]
GPUS = ("GPU", "GPU memory, MiB")  # Ray says nothing of GPUs where there are none
ROW = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0.0] * 4}]}
DIGIT = {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}]}


def page_port(server: Server) -> int:
    """Of Ray's metrics, found among everything the server listens on."""
    for _, port, _ in server.listening():
        try:
            page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2)
        except httpx.HTTPError:
            continue
        if "ray_serve_" in page.text:
            return port
    return 0


def load(server: Server) -> None:
    """Two versions of a model, a remote one, batches, and failures of both sides."""
    with server.http() as client:
        for _ in range(10):
            for version in ("1", "2"):
                client.post(f"/v2/models/digits/versions/{version}/infer", json=DIGIT)
            client.post("/v2/models/one/infer", json={"inputs": []})
            client.post("/v2/models/fussy/infer", json=column(-1))
            client.post("/v2/models/fussy/infer", json={"inputs": []})
            client.post("/v2/models/rolled/infer", json=ROW)


@pytest.fixture(scope="module")
def prometheus(
    start_module_server: Any, tmp_path_factory: pytest.TempPathFactory, demo_models: Path
) -> Iterator[httpx.Client]:
    """Asked for what it has scraped each second, for a quarter of a minute of load."""
    if not shutil.which("prometheus"):
        pytest.skip("no prometheus: Debian's package prometheus has it")
    folder = tmp_path_factory.mktemp("prometheus")
    digits = {
        "name": "digits",
        "modelFormat": "torch",
        "storageUri": str(demo_models / "digits"),
        "batching": {"maxBatchSize": 8},
    }
    quickstart = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())["applications"][0]
    (known,) = (
        m for m in quickstart["deployments"][0]["user_config"]["models"] if m["name"] == "digits"
    )
    digits |= {key: known[key] for key in ("inputs", "outputs")}
    publish(folder / "rolled", 1)
    publish(folder / "rolled", 2, errors=1.0)
    behaves = {"class": "loadtests.rolling.model:Behaves", "storageUri": str(folder / "rolled")}
    metric = {"kind": "errorRate", "margin": 0.5}
    rollout = {"version": "2", "steps": [{"weight": 50, "requests": 1000}], "metrics": [metric]}
    routing = {
        "digits": {"defaultVersion": "2", "shadow": {"version": "1"}}, "rolled": {"rollout": rollout},
    }  # fmt: skip
    rolled = {"name": "rolled", "modelFormat": "python", "warmUp": False, **behaves}
    route = router(python("Fussy"), digits, rolled, routing=routing)
    route["args"] = {"admin": {}}
    env = {**ENV, "TANDEM_ADMIN_TOKEN": "a-token-of-the-tests"}
    server = start_module_server(write(folder / "serve.yaml", route, remote("one", "Pid")), env=env)
    load(server)
    port = until(lambda: page_port(server), "Ray's metrics")
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(ALERTS)],
                "scrape_configs": [
                    {"job_name": "ray", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                ],
            }
        )
    )
    own = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/db",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{own}"], stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{own}", timeout=30) as client:
            until(lambda: ready(client), "Prometheus", 30)
            for _ in range(25):
                load(server)
                time.sleep(1)
            yield client
    finally:
        process.terminate()
        process.wait()


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def values(client: httpx.Client, expression: str) -> list[float]:
    """What an expression gives now, in Grafana's place for its variables."""
    text = expression.replace("$__rate_interval", "15s").replace("$model", ".*")
    answer = client.get("/api/v1/query", params={"query": text}).json()
    assert answer["status"] == "success", answer
    return [float(row["value"][1]) for row in answer["data"]["result"]]


def numbers(client: httpx.Client, expression: str) -> list[float]:
    """Those of the values that are: rules are evaluated now and then, and may know no rates yet."""
    return [value for value in values(client, expression) if not math.isnan(value)]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_a_panel_has_data(prometheus: httpx.Client, title: str, expression: str) -> None:
    found = values(prometheus, expression)
    if title in GPUS and not found:
        pytest.skip("no GPU here: the query is valid, and Ray has nothing to say")
    assert found
    assert not all(map(math.isnan, found))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_has_data(prometheus: httpx.Client, rule: dict[str, Any]) -> None:
    if rule["expr"].startswith("absent("):
        assert values(prometheus, rule["expr"]) == []  # it is there
        return
    expression, *limit = rule["expr"].rsplit(" > ", 1)
    expression, *below = expression.rsplit(" < ", 1)
    assert ("alert" in rule) == bool(limit or below)
    assert until(lambda: numbers(prometheus, expression), rule["expr"], 60)


def test_the_split_between_versions_is_what_was_sent(prometheus: httpx.Client) -> None:
    (target,) = next(p for p in DASHBOARD["panels"] if p["title"] == "Share of each version")["targets"]
    text = target["expr"].replace("$__rate_interval", "20s").replace('=~"$model"', '="digits"')
    shares = values(prometheus, text)
    assert len(shares) == 2
    assert shares == pytest.approx([0.5, 0.5], abs=0.05)


def test_failures_of_clients_are_not_ours(prometheus: httpx.Client) -> None:
    ratio = 'tandem:errors:ratio5m{model_name="fussy"}'
    (found,) = until(lambda: numbers(prometheus, ratio), "the ratio", 60)
    assert found == pytest.approx(0.5, abs=0.05)  # half of them send what is no request of this model
