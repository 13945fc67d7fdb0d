"""Nodes that are too slow to start Ray's agent. The output is that of Ray 2.60's head with 0.1 CPU: it
ended with 1 after 96 seconds, and a page of other processes' lines came after the one that says why."""

from typing import Any

import pytest

from serve_app.tools.doctor.agent import late
from tests.unit.tools.doctor.cluster import Json, changed
from tests.unit.tools.doctor.test_neighbours import ACTIVE, condition, event, pod_of, says

RAYLET = (
    "[2026-11-29 08:24:37,975 C 22138 22138] (raylet) node_manager.cc:3588:  An unexpected system state "
    "has occurred. You have likely discovered a bug in Ray. Please report this issue. Check failed: "
    "statussetor3588.has_value() Timed out waiting for file "
    "/tmp/ray/session_latest/dashboard_agent_listen_port_19cda3be5a6ab7dfe8f99"
)
OTHERS = (
    "2026-11-29 08:24:54,176 WARNING (dashboard) module.py:83 -- Parent process 21385 died. Exiting\n"
)
OUTPUT = f"{RAYLET}\n*** StackTrace Information ***\n{OTHERS * 150}"


def asks(pod: Json, cpu: str) -> None:
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu


def ended(known: Json, role: str, **more: Any) -> Json:
    """A pod whose Ray ended with 1, in a cluster that is being started."""
    pod = pod_of(known, ACTIVE, role)
    box = pod["spec"]["containers"][0]["name"]
    state = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-28T20:38:00Z"}}
    pod["status"]["containerStatuses"] = [{"name": box, "ready": False, "state": state, **more}]
    condition(pod["status"], "Ready", "False")
    return pod


@pytest.mark.parametrize("role", ["head", "worker"])
def test_the_output_says_it(role: str) -> None:
    def cold(known: Json) -> None:
        pod = ended(known, role)
        asks(pod, "100m")
        known["logs"] = {pod["metadata"]["name"]: OUTPUT}

    word, code, said, causes = says(changed("starting", cold))
    assert (word, code) == ("failed", 1)
    assert "the node's agent didn't start in time: CPU" in causes[0].what
    assert "it asks for 0.1 CPU" in said
    assert "Timed out waiting for file /tmp/ray/session_latest/dashboard_agent_listen_port_" in said
    assert "kubectl -n tandem apply -f" in causes[0].next


def test_it_asks_for_enough_and_the_machine_is_full() -> None:
    def cold(known: Json) -> None:
        pod = ended(known, "worker")
        asks(pod, "2")
        known["logs"] = {pod["metadata"]["name"]: OUTPUT}

    said = says(changed("starting", cold))[2]
    assert "a machine that isn't as full" in said


def gone(role: str, pod: str, lived: int, code: int = 1, at: str = "2026-11-28T20:39:00Z") -> Json:
    """What is left of a pod whose operator makes a new one: an event."""
    message = (
        f"Deleted {role} Pod tandem/{pod}; Pod status: Failed; Pod restart policy: Never; Ray container "
    )
    message += (
        f"terminated status: &ContainerStateTerminated{{ExitCode:{code},Signal:0,Reason:Error,Message:,"
    )
    message += f"StartedAt:2026-11-28 20:30:00 +0000 UTC,FinishedAt:2026-11-28 20:{30 + lived // 60}:"
    message += f"{lived % 60:02} +0000 UTC,ContainerID:,}}"
    return event(f"Deleted{role.capitalize()}Pod", message, ACTIVE, at)


def again(cpu: str, *ends: Json) -> Any:
    def change(known: Json) -> None:
        asks(pod_of(known, ACTIVE, "worker"), cpu)
        known["events"].extend(ends)

    return change


TWO = (gone("worker", "a", 52), gone("worker", "b", 61))


@pytest.mark.parametrize(
    ("cpu", "ends", "cold"),
    [
        ("100m", TWO, True),
        ("2", TWO, False),  # enough for it: something else is wrong
        ("100m", TWO[:1], False),  # once is nothing
        ("100m", (gone("worker", "a", 9), gone("worker", "b", 8)), False),  # a command that ends at once
        ("100m", (gone("worker", "a", 900), gone("worker", "b", 950)), False),  # they had started
        ("100m", (gone("worker", "a", 52, -9), gone("worker", "b", 61, -9)), False),  # killed
        (
            "100m",
            (gone("head", "a", 52), gone("worker", "b", 61)),
            False,
        ),  # the worker for want of a head
    ],
)
def test_events_say_it_where_the_output_is_gone(cpu: str, ends: tuple[Json, ...], cold: bool) -> None:
    word, code, said, _ = says(changed("starting-head-up", again(cpu, *ends)))
    assert ("the node's agent didn't start in time: CPU" in said) is cold
    assert (word, code) == (("failed", 1) if cold else ("starting", 3))
    assert not cold or "2 pods before it ended after 52, 61 s" in said


def test_other_ends_of_an_agent_are_not_slow_ones() -> None:
    failed = "The raylet exited immediately because one Ray agent failed, agent_name = dashboard_agent."
    assert not late(failed)
    assert late("Runtime Env Agent timed out in 30000ms")
    slow = "because the runtime env agent timed out when Raylet try to connect to it."
    assert late(f"The raylet exited immediately {slow}")
