"""`tandem doctor` of a live Serve, and of a cluster that answers through kubectl."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.cli import main
from serve_app.tools.doctor.kubernetes import ASK
from tests.serve.configs import python, remote, router, write
from tests.serve.live import deploy, until
from tests.server import MODES, ROOT, Server, Setup
from tests.unit.tools.doctor.cluster import recorded


def doctor(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serve_app", "doctor", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def here(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """The same in this process: to start Python takes longer than to ask."""
    out, error = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in env.items():
            patch.setenv(name, value)
        code = main(["doctor", *arguments])
    assert "Traceback" not in error.getvalue()
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


WELL = (router(python("Pid")), remote("one", "Pid"))
LIVE = Setup(MODES[0], "doctor", lambda folder: write(folder / "well.yaml", *WELL))


@pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)
def test_a_live_serve_from_well_to_ill(server: Server, tmp_path: Path) -> None:
    address = ("--address", server.dashboard)
    done = until(lambda: (d := doctor(*address)).returncode == 0 and d, "a service that is well", 30)
    assert done.stdout == "Serve is ready\n"

    greedy = remote("greedy", "Pid", resources={"num_gpus": 1})
    broken = remote("broken", "Broken")
    deploy(server, write(tmp_path / "ill.yaml", *WELL, greedy, broken))

    def found() -> Any:
        """In this process: it is asked again and again."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["doctor", *address, "--json"]) in (0, 1, 3)
        causes = json.loads(out.getvalue())["causes"]
        text = json.dumps(causes)
        return causes if "no room" in text and "the weights are gone" in text else None

    causes = until(found, "both causes", 120)
    assert "application 'greedy' finds no room" in causes[0]["what"]
    assert '"GPU": 1.0' in causes[0]["evidence"]
    printed = doctor(*address)
    assert printed.returncode == 1
    assert printed.stdout.startswith(
        "Serve serves, but not all of it is ready: deployment ModelReplica of application 'greedy'"
    )
    refused = doctor(*address, RAY_AUTH_TOKEN="0" * 64)
    assert refused.returncode == 2
    assert "refuses the token" in refused.stderr


def test_nobody_is_there() -> None:
    done = doctor("--address", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "is Ray running?" in done.stderr


KUBECTL = """#!{python} -IS
import json, pathlib, sys
answers = json.loads(pathlib.Path({answers!r}).read_text())
unknown = [1, "", "Error from server (NotFound): " + " ".join(sys.argv)]
code, out, error = answers.get(" ".join(sys.argv[3:]), unknown)
sys.stdout.write(out if isinstance(out, str) else json.dumps(out))
sys.stderr.write(error)
sys.exit(code)
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Any:
    """A program of that name that gives the answers it is told, by its arguments after the namespace."""

    def install(answers: dict[str, Any]) -> dict[str, str]:
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        program = tmp_path / "kubectl"
        text = KUBECTL.format(python=sys.executable, answers=str(tmp_path / "answers.json"))
        program.write_text(text)
        program.chmod(0o700)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return install


def listed(*items: Any) -> list[Any]:
    return [0, {"items": list(items)}, ""]


def test_a_service_on_kubernetes(kubectl: Any) -> None:
    running = {"status": "RUNNING", "serveDeploymentStatuses": {}}
    active = {"rayClusterName": "tandem-abc", "applicationStatuses": {"tandem": running}}
    owner = {"kind": "RayService", "name": "tandem"}
    state = {"terminated": {"exitCode": 1, "reason": "Error"}}
    pod = {
        "metadata": {"name": "tandem-abc-worker", "labels": {"ray.io/cluster": "tandem-abc"}},
        "status": {"containerStatuses": [{"name": "ray-worker", "lastState": state}]},
    }
    other = {"metadata": {"name": "x", "labels": {"ray.io/cluster": "x"}}, "status": pod["status"]}
    answers = {
        "get rayservices.ray.io tandem -o json": [0, {"status": {"activeServiceStatus": active}}, ""],
        "get rayclusters.ray.io -o json": listed(
            {"metadata": {"name": "tandem-abc", "ownerReferences": [owner]}}, {"metadata": {"name": "x"}}
        ),
        "get pods -o json": listed(pod, other),
        "get events -o json": listed(),
        "logs tandem-abc-worker --previous --tail=40": [0, "one\nValueError: no such model\n", ""],
    }
    done = doctor("tandem", **kubectl(answers))
    assert done.returncode == 1
    assert "container ray-worker of tandem-abc-worker ends with 1" in done.stdout
    assert "ValueError: no such model" in done.stdout
    assert "next: kubectl -n tandem logs tandem-abc-worker --previous" in done.stdout
    assert "of x " not in done.stdout
    answers["get pods -o json"] = listed()
    changes = {"router": "a", "refused": "", "models": {"m": "version 3: no such file", "n": ""}}
    proxied = "/api/v1/namespaces/elsewhere/services/tandem-serve-svc:8000/proxy/v2/repository/changes"
    told = {**answers, f"get --raw {proxied}": [0, changes, ""]}
    done = here("tandem", "-n", "elsewhere", **kubectl(told))
    assert done.returncode == 1
    assert done.stdout.startswith(
        "tandem serves, but not what was last asked for: a change of model 'm'"
    )
    assert "version 3: no such file" in done.stdout
    done = here("tandem", "-n", "elsewhere", **kubectl(answers))
    assert (done.returncode, done.stdout) == (0, "tandem is ready\n")


def answers_of(state: str) -> dict[str, Any]:
    """kubectl's, for a state that a real cluster was in once. What it doesn't know isn't there."""
    known = recorded(state)
    lists = {"rayclusters.ray.io": "rayclusters", "pods": "pods", "events": "events"}
    answers = {f"get {kind} -o json": listed(*known[key]) for kind, key in lists.items()}
    answers["get namespace tandem -o json"] = [0, known["namespace"], ""]
    for one in known["rayservices"]:
        answers["get rayservices.ray.io tandem -o json"] = [0, one, ""]
    for cluster, said in known["serve"].items():
        service = f"/api/v1/namespaces/tandem/services/{cluster}-head-svc:8265/proxy"
        answers[f"get --raw {service}/api/serve/applications/"] = [0, said, ""]
    return answers


@pytest.mark.parametrize(
    ("state", "word", "serves", "code"),
    [
        ("starting", "starting", False, 3),
        ("scaling-pod-requested", "scaling", True, 3),
        ("worker-killed-5s", "recovering", True, 3),
        ("upgrade-began", "upgrading", True, 1),
        ("refused-args", "refused", True, 1),
        ("head-killed-without-redis", "away", False, 1),
        ("deleting", "deleting", False, 1),
        ("ready", "ready", True, 0),
    ],
)
def test_the_state_as_a_word_and_as_an_exit_status(
    kubectl: Any, state: str, word: str, serves: bool, code: int
) -> None:
    done = here("tandem", "--json", **kubectl(answers_of(state)))
    assert done.returncode == code, done.stderr
    said = json.loads(done.stdout)
    assert (said["state"], said["serves"], said["wait"]) == (word, serves, code == 3)
    if state == "scaling-pod-requested":  # by the dashboard, through the API server
        assert "runs 1 of 2" in said["causes"][0]["evidence"]


def test_serve_is_asked_in_its_head_where_a_token_is_needed(kubectl: Any) -> None:
    answers = answers_of("scaling-pod-requested")
    (raw,) = (one for one in answers if one.startswith("get --raw"))
    said = answers.pop(raw)
    answers[raw] = [1, "", "Error from server: Unauthorized"]
    done = here("tandem", **kubectl(answers))
    assert "runs 1 of 2" not in done.stdout
    assert "note: Serve itself wasn't asked" in done.stdout
    answers[f"exec tandem-8tgk9-head-bspnn -c ray-head -- sh -c {ASK}"] = said
    done = here("tandem", **kubectl(answers))
    assert "deployment ModelReplica of application 'sentences' runs 1 of 2" in done.stdout
    assert "wasn't asked" not in done.stdout


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            'error: the server doesn\'t have a resource type "rayservices"',
            "helm install kuberay-operator",
        ),
        ('Error from server (NotFound): rayservices.ray.io "tandem" not found', "another namespace"),
        ("Error from server (Forbidden): no", "tandem-deployer"),
        ("The connection to the server localhost:8080 was refused", "KUBECONFIG"),
    ],
)
def test_a_cluster_that_cannot_be_asked(kubectl: Any, error: str, words: str) -> None:
    done = here("tandem", **kubectl({"get rayservices.ray.io tandem -o json": [1, "", error]}))
    assert done.returncode == 2
    assert words in done.stderr


def test_without_kubectl(tmp_path: Path) -> None:
    done = here("tandem", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "no kubectl here" in done.stderr
