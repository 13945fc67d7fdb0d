"""Versions that take each other's place in a live server, also when it is killed in the middle."""

import contextlib
import threading
from pathlib import Path

import httpx
import pytest

from tests.serve.configs import remote, router, write
from tests.serve.live import Traffic, deploy, processes, until
from tests.serve.staged import STEPS, arrived, body, held, kill, publish
from tests.server import MODES, Setup

ROUTER, REPLICA = "ray::ServeReplica:tandem:Router", "ray::ServeReplica:far:ModelReplica"
STAGED = {"class": "tests.serve.staged:Staged"}


def config(folder: Path, **user) -> Path:
    here = {"name": "here", "modelFormat": "python", **STAGED, "storageUri": str(folder / "here")}
    far = remote("far", "", **STAGED, storageUri=str(folder / "far"), versions="latest", replicas=2)
    return write(folder / "swaps.yaml", router({**here, "versions": {"latest": 2}}, **user), far)


def first(folder: Path) -> Path:
    for place in ("here", "far"):
        publish(folder / place, 1)
    return config(folder)


pytestmark = pytest.mark.parametrize("server", [Setup(MODES[0], "swaps", first)], indirect=True, ids=str)


@pytest.fixture
def live(server):
    with server.http() as client:
        yield server, server.config.parent, client


def rows(client, model: str) -> dict[str, tuple[str, str]]:
    found = client.post("/v2/repository/index").json()
    return {row["version"]: (row["state"], row["reason"]) for row in found if row["name"] == model}


def version(client, model: str, asked: str = "") -> int:
    path = f"/v2/models/{model}" + (f"/versions/{asked}" if asked else "")
    answer = client.post(f"{path}/infer", json=body())
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"][0]["data"][0]


def newest(folder: Path) -> int:
    return max(int(one.name) for one in folder.iterdir() if one.name.isdigit())


def test_only_the_version_that_comes_is_loaded(live):
    server, folder, client = live
    two = newest(folder / "here") + 1
    one = two - 1
    publish(folder / "here", two)
    publish(folder / "far", two)
    asked = [(f"/v2/models/{model}/infer", body()) for model in ("here", "far")]
    with Traffic(server, *asked) as traffic:
        deploy(server, server.config)
        ready = ("READY", "")
        until(lambda: rows(client, "here") == {str(one): ready, str(two): ready}, "both here")
        until(lambda: rows(client, "far") == {str(two): ready}, "the newest there")
        assert version(client, "here", str(one)) == one
    assert traffic.failures == []
    assert (version(client, "here"), version(client, "far")) == (two, two)
    assert len(arrived(folder / "here", "load", one)) == 1  # once, in one process
    assert sorted(arrived(folder / "far", "load", two)) == sorted(
        one.pid for one in processes(server, REPLICA)
    )


def test_a_version_that_cannot_be_loaded_says_why_beside_those_that_serve(live):
    server, folder, client = live
    good, broken = newest(folder / "here"), newest(folder / "here") + 1
    for place in ("here", "far"):
        publish(folder / place, broken, weights=None)
    with Traffic(server, ("/v2/models/far/infer", body())) as traffic:
        deploy(server, server.config)
        for model in ("here", "far"):
            failed = lambda model=model: rows(client, model).get(str(broken), ("",))[0] == "UNAVAILABLE"  # noqa: E731
            until(failed, "it is known, and can't be loaded")
            found = rows(client, model)
            assert found[str(good)][0] == "READY"
            assert "weights" in found[str(broken)][1]
            answer = client.post(f"/v2/models/{model}/versions/{broken}/infer", json=body())
            assert answer.status_code == 503
            assert version(client, model) == good
            (folder / model / str(broken) / "weights").write_text("")
        deploy(server, server.config)
        for model in ("here", "far"):
            until(lambda model=model: version(client, model) == broken, "mended")
    assert traffic.failures == []


def test_a_replica_that_is_killed_while_it_loads_leaves_a_working_version(live):
    server, folder, client = live
    old, new = newest(folder / "far"), newest(folder / "far") + 1
    hold = held(folder / "far", "load", new)
    hold.touch()
    publish(folder / "far", new)
    with Traffic(server, ("/v2/models/far/infer", body())) as traffic:
        deploy(server, server.config)
        (pid, *_) = until(lambda: arrived(folder / "far", "load", new), "it loads")
        assert version(client, "far") == old
        kill([pid])
        hold.unlink()
        until(lambda: version(client, "far") == new, "the new one")
        assert traffic.answered
    assert len(traffic.failures) <= 4, traffic.failures  # what it had in hand went to the other


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("model", ["here", "far"])
def test_killed_at_each_step_of_a_swap(live, model, step):
    """The Router, or both replicas at once: whatever is there afterwards is a whole version."""
    server, folder, client = live
    place = folder / model
    old, new = newest(place), newest(place) + 1
    of = old if step in ("drain", "close") else new
    hold = held(place, step, of)
    hold.touch()
    if model == "here" and step == "close":  # with {latest: 2} the one before the old one goes
        hold = held(place, step, old - 1)
        hold.touch()
        of = old - 1
    waiting = threading.Thread(target=_left, args=(server, model))
    if step == "drain":
        waiting.start()
        until(lambda: arrived(place, step, of), "one is under way")
    publish(place, new)
    deploy(server, server.config)
    until(lambda: arrived(place, step, of), f"at {step}")
    kill([one.pid for one in processes(server, ROUTER if model == "here" else REPLICA)])
    for one in place.glob(".hold-*"):
        one.unlink()
    seen: set[int] = set()

    def served() -> bool:
        try:
            answer = client.post(f"/v2/models/{model}/infer", json=body())
        except httpx.HTTPError:
            return False
        if answer.status_code == 200:
            seen.add(answer.json()["outputs"][0]["data"][0])
        return new in seen

    until(served, "the new version", 120)
    assert seen <= {old, new}
    until(lambda: rows(client, model).get(str(new), ("", ""))[0] == "READY", "said so, too")
    until(lambda: client.get("/v2/health/ready").status_code == 200, "ready")
    if step == "drain":
        waiting.join(90)


def _left(server, model: str) -> None:
    """A request that is answered, or not, whatever happens to who has it."""
    with contextlib.suppress(httpx.HTTPError), server.http() as client:
        client.post(f"/v2/models/{model}/infer", json=body(-1.0))
