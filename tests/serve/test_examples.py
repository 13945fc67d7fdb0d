"""docs/first-model.md, done as it says, with one server for all its models."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.serve.configs import router, write
from tests.serve.examples import PAGE, TRAININGS, base, block, exchanges, first_versions, trained
from tests.serve.live import deploy, until
from tests.server import MODES, ROOT, Server, Setup

LIVE = Setup(MODES[0], "examples", first_versions)
EXCHANGES = exchanges()
FIRST = [one for one in EXCHANGES if one[2]["model_version"] == "1"]
LATER = [one for one in EXCHANGES if one[2]["model_version"] == "2"]

pytestmark = pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)


def same(got: dict[str, Any], shown: dict[str, Any]) -> None:
    """But for the id; numbers differ a little from machine to machine."""
    assert [got[key] for key in ("model_name", "model_version")] == [
        shown[key] for key in ("model_name", "model_version")
    ]
    assert len(got["outputs"]) == len(shown["outputs"])
    for one, other in zip(got["outputs"], shown["outputs"], strict=True):
        numbers = one["datatype"] == "FP32"
        assert one["data"] == (pytest.approx(other["data"], rel=0.05) if numbers else other["data"])
        assert {**one, "data": []} == {**other, "data": []}


def ask(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with server.http() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("path", "body", "shown"), FIRST, ids=[one[2]["model_name"] for one in FIRST])
def test_the_first_call(server: Server, path: str, body: dict[str, Any], shown: dict[str, Any]) -> None:
    same(ask(server, path, body), shown)


def test_the_program_that_sends_images(server: Server) -> None:
    command = [sys.executable, str(ROOT / "docs/examples/image/call.py"), server.url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"call.py\n```\n```\n{done.stdout}```" in PAGE


def test_the_next_version_and_back(server: Server) -> None:
    """For a model with an application of its own, as the page has it, and for an inline one."""
    folder = server.config.parent
    (command,) = [one for one in TRAININGS if "/2 " in one]
    other = next(one for one in TRAININGS if "models/progression/1" in one).replace("/1", "/2 4")
    trained(folder, [command, other])
    inline, remote = base(folder)
    versions = yaml.safe_load(block('      versions: ["1", '))
    for model in (*inline, *(one["args"] for one in remote)):
        if model["storageUri"].endswith(("/iris", "/progression")):
            model.update(versions)
    paths = [path for path, _, shown in FIRST if shown["model_name"] in ("iris", "progression")]
    bodies = {path: body for path, body, _ in FIRST}
    assert len(paths) == len(LATER) == 2

    def answering() -> list[str]:
        return [ask(server, path, bodies[path])["model_version"] for path in paths]

    assert answering() == ["1", "1"]
    deploy(server, write(folder / "next.yaml", router(*inline), *remote))
    until(lambda: answering() == ["2", "2"], "version 2 answers")
    for path, body, shown in LATER:
        same(ask(server, path, body), shown)

    (routed,) = yaml.safe_load(block("  - name: tandem\n"))
    routing = routed["deployments"][0]["user_config"]["routing"]
    routing["progression"] = routing["iris"]
    deploy(server, write(folder / "back.yaml", router(*inline, routing=routing), *remote))
    until(lambda: answering() == ["1", "1"], "version 1 answers again")
    for path, body, shown in LATER[1:]:  # the one that names version 2
        assert "/versions/2/" in path
        same(ask(server, path, body), shown)
