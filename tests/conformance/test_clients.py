"""The real clients, each in a process and an environment of its own, against every mode."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance import verbs
from tests.conformance.cases import CLIENTS, GRPC, Case, cases
from tests.conformance.clients.driver import unpack
from tests.conformance.values import same
from tests.server import ROOT, Server

SCRIPTS = Path(__file__).parent / "clients"
CASES = {client: {case.name: case for case in cases(client)} for client in CLIENTS}
VERBS = {client: verbs.calls(client) for client in CLIENTS}
Results = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def results(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """`results(client)`: what every case of a client came to; each client runs once per server."""
    known: dict[str, dict[str, Any]] = {}

    def of(client: str) -> dict[str, Any]:
        if client not in known:
            known[client] = run_client(server, client, tmp_path_factory.mktemp(client))
        return known[client]

    return of


def run_client(server: Server, client: str, folder: Path) -> dict[str, Any]:
    python = ROOT / (".venv-kserve" if client.startswith("kserve") else ".venv") / "bin" / "python"
    sends = [case.send for case in CASES[client].values()]
    sends += [{**send, "name": name} for name, (send, _) in VERBS[client].items()]
    sent, came = folder / "cases.json", folder / "results.json"
    sent.write_text(json.dumps(sends))
    command = [python, SCRIPTS / f"{client}.py", server.url, server.grpc, sent, came]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, f"{client} ended with {run.returncode}\n{run.stderr[-4000:]}"
    return json.loads(came.read_text())


@pytest.mark.parametrize(
    ("client", "name"), [(client, name) for client in CLIENTS for name in CASES[client]]
)
def test_inference(results: Results, client: str, name: str) -> None:
    case, result = CASES[client][name], results(client)[name]
    if case.error:
        check_error(client, case, result)
        return
    assert "value" in result, result
    value = result["value"]
    check_outputs(case, value["outputs"])
    for key, expected in case.reply.items():
        assert value[key] == expected
    assert value["id"]


def check_outputs(case: Case, outputs: list[dict[str, Any]]) -> None:
    expected = case.expected()
    # Requested outputs come in the order they were asked for; nothing else comes.
    assert [output["name"] for output in outputs] == list(case.send.get("outputs") or expected)
    for output in outputs:
        got, wanted = unpack(output), expected[output["name"]]
        if case.tolerance and wanted.dtype.kind == "f":
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=0, atol=case.tolerance)
        else:
            same(got, wanted)


def check_error(client: str, case: Case, result: dict[str, Any]) -> None:
    assert "error" in result, result
    status, message = result["error"]["status"], result["error"]["message"]
    assert status == case.error[1 if client in GRPC else 0], message
    for word in case.error[2:]:
        assert word in message
    assert "Traceback" not in message


def test_generated_ids_differ(results: Results) -> None:
    ids = [results(client)["id-generated"]["value"]["id"] for client in CLIENTS]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("client", "name"), [(client, name) for client in CLIENTS for name in VERBS[client]]
)
def test_verb(results: Results, client: str, name: str) -> None:
    _, check = VERBS[client][name]
    check(results(client)[name])
