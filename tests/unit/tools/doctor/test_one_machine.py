"""A Ray that is asked directly: its states, and commands that work where there is no Kubernetes."""

from typing import Any

import pytest

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.command import text
from serve_app.tools.doctor.diagnose import diagnose, notes
from serve_app.tools.doctor.state import State, state_of
from tests.unit.tools.doctor.test_neighbours import GAVE_UP, UNHEALTHY, no_room

Json = dict[str, Any]
ROUTER = {"status": "RUNNING", "deployments": {"Router": {"status": "HEALTHY", "replicas": []}}}


def app(status: str, message: str = "", of: str = "UPDATING", **more: Any) -> Json:
    replica = {"status": of, "message": message, **more}
    return {"status": status, "deployments": {"ModelReplica": replica}}


DEAD = app("UNHEALTHY", UNHEALTHY, "UNHEALTHY")
FAILED = app("DEPLOY_FAILED", GAVE_UP, "DEPLOY_FAILED")


def found(**applications: Json) -> tuple[State, list[Cause], str]:
    snapshot = Snapshot("Serve", ray={"serve": {"applications": applications}})
    causes = diagnose(snapshot)
    state = state_of(snapshot, causes)
    return state, causes, text(snapshot, state, causes)


@pytest.mark.parametrize(
    ("applications", "word", "serves", "code", "words"),
    [
        ({}, "empty", False, 1, "isn't ready: Serve has no application"),
        ({"tandem": ROUTER}, "ready", True, 0, "Serve is ready"),
        ({"tandem": {**ROUTER, "status": "DEPLOYING"}}, "starting", False, 3, "Serve is starting"),
        ({"tandem": ROUTER, "m": app("DEPLOYING")}, "changing", True, 3, "application 'm' is being"),
        (
            {"tandem": ROUTER, "m": app("RUNNING", "Upscaling from 1 to 3 replicas.", "UPSCALING")},
            "scaling", True, 3, "ModelReplica of application 'm' is upscaling",
        ),
        ({"tandem": ROUTER, "m": DEAD}, "recovering", True, 3, "died"),
        ({"tandem": ROUTER, "m": FAILED}, "degraded", True, 1, "ValueError: no weights"),
        ({"m": FAILED}, "failed", False, 1, "Serve isn't ready"),
        ({"tandem": ROUTER, "m": app("DEPLOYING", no_room("0.5"))}, "degraded", True, 1, "no room"),
        (
            {"tandem": ROUTER, "m": app("DEPLOYING", no_room("3.5"),
                                        deployment_config={"max_replicas_per_node": 1})},
            "degraded", True, 1, "max_replicas_per_node: 1 lets no more of them onto a node",
        ),
    ],
)  # fmt: skip
def test_states(applications: Json, word: str, serves: bool, code: int, words: str) -> None:
    state, causes, said = found(**applications)
    assert (state.word, state.serves, state.exit_code) == (word, serves, code), said
    assert words in said
    for one in causes:
        assert "kubectl" not in one.next
        assert "wait" in one.next if one.wait else "tandem deploy" in one.next


def test_what_runs_of_an_application_that_failed() -> None:
    """A rolling update that failed: what was there before serves on."""
    running = {"replicas": [{"state": "RUNNING"}], "target_num_replicas": 1}
    state, _, _ = found(m=app("DEPLOY_FAILED", GAVE_UP, "DEPLOY_FAILED", **running))
    assert (state.word, state.serves) == ("degraded", True)


CRASH = (
    "A replica failed to start with exception. Retrying 2 more time(s). Error:\nActorDiedError: The "
    "actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR. "
    "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: "
    "(1) the process was killed by the OOM killer due to high memory usage, (2) ray stop --force was "
    "called, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error."
)
ITS_OWN = (
    "A replica failed to start. Error:\nThe actor died because of an error raised in its creation task, "
    "ray::ServeReplica:nodes:ModelReplica.__init__()\nValueError: x"
)


@pytest.mark.parametrize(
    ("message", "what", "wait"),
    [
        (CRASH, "a replica of deployment ModelReplica of application 'm' fails", False),
        ("A replica failed to start. Error:\ntorch.OutOfMemoryError: CUDA", "ran out of memory", False),
        ("The actor died because its node has died. Node Id: 5b73", "Serve starts others", True),
        (ITS_OWN, "fails", False),
    ],
)  # fmt: skip
def test_how_a_replica_died(message: str, what: str, wait: bool) -> None:
    _, causes, _ = found(tandem=ROUTER, m=app("DEPLOYING", message))
    (cause,) = causes
    assert what in cause.what
    assert cause.wait is wait


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("traffic", "`tandem traffic m --write` prints the block to commit"),
        ("unloaded", "`tandem models load m`"),
        ("entry, traffic", "`tandem traffic m --write`"),
    ],
)
@pytest.mark.parametrize(("namespace", "where"), [("", "the configuration"), ("ns", "serveConfigV2")])
def test_what_differs_from_the_configuration_is_worth_a_note(
    how: str, says: str, namespace: str, where: str
) -> None:
    told = {"r1": {"refused": "", "models": {"m": ""}, "live": {"m": how}}}
    ray = {"serve": {"applications": {"tandem": ROUTER}}, "changes": told}
    snapshot = Snapshot("Serve", namespace, ray=ray)
    (note,) = [one for one in notes(snapshot, []) if "changed since" in one]
    assert f"model 'm' was changed since ({how}), and {where} says otherwise" in note
    assert says in note
