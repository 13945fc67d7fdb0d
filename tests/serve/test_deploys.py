"""`serve deploy` of a changed file: what changes changes, everything else goes on."""

from pathlib import Path

import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import Traffic, column, deploy, deploy_by_command, index, pid_of, until
from tests.server import MODES, ROOT, Setup

PIDS = "/v2/models/{}/infer"
NOTHING = {"inputs": []}


def base():
    return router(python("Pid"), python("Fussy")), remote("one", "Pid"), remote("two", "Pid")


LIVE = Setup(MODES[0], "deploys", lambda folder: write(folder / "base.yaml", *base()))
pytestmark = pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)


@pytest.fixture
def live(server):
    return server, server.config.parent


def ready(client, *models: str) -> None:
    wanted = dict.fromkeys(models, "")
    until(lambda: index(client) == wanted, f"{', '.join(models)} ready")


def two_of(found: set[int]) -> set[int]:
    return found if len(found) == 2 else set()


def everywhere_ready(client, model: str) -> bool:
    """Asked often enough to meet every Router."""
    return all(client.get(f"/v2/models/{model}/ready").status_code == 200 for _ in range(40))


@pytest.fixture
def client(live):
    """Starts from the base config, whatever the test before has deployed."""
    server, folder = live
    with server.http() as client:
        if index(client) != dict.fromkeys(["pid", "fussy", "one", "two"], ""):
            deploy(server, write(folder / "base.yaml", *base()))
            ready(client, "pid", "fussy", "one", "two")
        yield client


def test_add_change_and_remove_a_remote_model(live, client):
    server, folder = live
    kept, router_pid, changed = pid_of(client, "one"), pid_of(client, "pid"), pid_of(client, "two")
    asked = [(PIDS.format(name), NOTHING) for name in ("one", "two", "pid")]
    with Traffic(server, *asked) as traffic:
        deploy_by_command(server, write(folder / "add.yaml", *base(), remote("three", "Pid")))
        until(lambda: "three" in index(client), "the new model is known")
        ready(client, "pid", "fussy", "one", "two", "three")
        assert pid_of(client, "two") == changed
        two = remote("two", "Pid", versions=["2"])  # the new one before the old one goes
        deploy(server, write(folder / "change.yaml", *base()[:2], two, remote("three", "Pid")))
        until(lambda: pid_of(client, "two") != changed, "the changed model has a new process")
        deploy(server, write(folder / "remove.yaml", *base()[:2], two))
        until(lambda: "three" not in index(client), "the removed model is gone")
        versions = client.get("/v2/models/two").json()["versions"]
    assert versions == ["2"]
    assert client.post("/v2/models/two/versions/1/infer", json=NOTHING).status_code == 404
    assert client.post(PIDS.format("three"), json=NOTHING).status_code == 404
    assert (pid_of(client, "one"), pid_of(client, "pid")) == (kept, router_pid)
    assert traffic.failures == []
    assert traffic.answered > 50


def test_a_second_version_has_replicas_of_its_own(live, client):
    server, folder = live

    def states() -> list[tuple[str, str, bool]]:
        rows = client.post("/v2/repository/index").json()
        found = [
            (row["version"], row["state"], bool(row["reason"])) for row in rows if row["name"] == "one"
        ]
        return sorted(found)

    def pid(version: str = "") -> int:
        path = f"/v2/models/one/versions/{version}/infer" if version else PIDS.format("one")
        answer = client.post(path, json=NOTHING)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model_version"] == version or not version
        return int(answer.json()["outputs"][0]["data"][0])

    first = pid_of(client, "one")
    second = remote("one-2", "Pid", model="one", versions=["2"])
    with Traffic(server, (PIDS.format("one"), NOTHING)) as traffic:
        deploy(server, write(folder / "second.yaml", *base(), second))
        until(lambda: states() == [("1", "READY", False), ("2", "READY", False)], "both versions")
        assert pid("1") == first
        assert pid("2") != first
        assert pid() == pid("2")  # the newest
        assert client.get("/v2/models/one").json()["versions"] == ["1", "2"]
        assert "one-2" not in index(client)
        # A third that can't load leaves the others as they are.
        third = remote("one-3", "Broken", model="one", versions=["3"])
        deploy(server, write(folder / "third.yaml", *base(), second, third))
        failed = [("", "UNAVAILABLE", True), ("1", "READY", False), ("2", "READY", False)]
        until(lambda: states() == failed, "the third says why")
        assert pid() == pid("2")
        deploy(server, write(folder / "base.yaml", *base()))
        until(lambda: states() == [("1", "READY", False)], "one again")
        assert pid() == first
    assert traffic.failures == []


def test_a_starting_model_answers_503_and_harms_nobody(live, client):
    server, folder = live
    slow = remote("late", "SlowToLoad", options={"seconds": 4})
    with Traffic(server, (PIDS.format("one"), NOTHING)) as traffic:
        deploy(server, write(folder / "late.yaml", *base(), slow))
        reason = until(lambda: index(client).get("late"), "the starting model is listed")
        assert "DEPLOYING" in reason
        answer = client.post(PIDS.format("late"), json=column(1))
        assert answer.status_code == 503
        assert "late" in answer.json()["error"]
        assert client.get("/v2/models/late/ready").status_code == 503
        assert client.get("/v2/health/ready").status_code == 200
        until(lambda: client.get("/v2/models/late/ready").status_code == 200, "it comes up")
    assert client.post(PIDS.format("late"), json=column(1)).status_code == 200
    assert traffic.failures == []


def test_a_model_that_cannot_load_says_why(live, client):
    server, folder = live
    broken_inline, broken_remote = python("Broken"), remote("broken-too", "Broken")
    user = router(python("Pid"), python("Fussy"), broken_inline)
    # What runs is served, though its change can't be loaded, or be read.
    changed = remote("one", "Broken", versions=["2"]), remote("two", "Pid", optionz={})
    kept = pid_of(client, "one"), pid_of(client, "two")
    asked = [(PIDS.format(name), NOTHING) for name in ("one", "two", "pid")]
    with Traffic(server, *asked) as traffic:
        deploy(server, write(folder / "broken.yaml", user, *changed, broken_remote))
        until(lambda: "weights are gone" in index(client).get("broken", ""), "inline reason")
        until(lambda: "weights are gone" in index(client).get("broken-too", ""), "remote reason")
    for name in ("broken", "broken-too"):
        answer = client.post(PIDS.format(name), json=column(1))
        assert answer.status_code == 503, answer.text
        assert "weights are gone" in answer.json()["error"]
    assert (pid_of(client, "one"), pid_of(client, "two")) == kept
    assert traffic.failures == []


def test_user_config_changes_in_place(live, client):
    server, folder = live
    router_pid, replica_pid = pid_of(client, "pid"), pid_of(client, "one")
    one = remote("one", "Pid")
    one["deployments"] = [{"name": "ModelReplica", "user_config": {"batching": {"maxBatchSize": 4}}}]
    user = router(python("Pid"), python("Fussy", options={"pause": 0.01}), limits={"maxBodyBytes": 200})
    with Traffic(server, (PIDS.format("two"), NOTHING)) as traffic:
        deploy(server, write(folder / "user.yaml", user, one, base()[2]))
        until(lambda: client.get("/v2/models/one/config").json()["max_batch_size"] == 4, "batching")
        big = column(*range(100))
        until(lambda: client.post(PIDS.format("fussy"), json=big).status_code == 413, "limit")
        # Without max_batch_size the Pid model answers again (it is no batched model).
        deploy(server, write(folder / "base.yaml", *base()))
        until(lambda: client.get("/v2/models/one/config").json()["max_batch_size"] == 0, "back")
    assert (pid_of(client, "pid"), pid_of(client, "one")) == (router_pid, replica_pid)
    assert traffic.failures == []


def test_another_version_of_an_inline_model_loses_no_request(live, client):
    """The demo model's two versions, one after the other, with batches waiting when they change."""
    server, folder = live
    path, pixels = "/v2/models/digits/infer", [0.0] * 64
    tensor = {"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": pixels}
    digits = {
        "name": "digits",
        "modelFormat": "torch",
        "storageUri": str(ROOT / ".models" / "digits"),
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
        "batching": {"maxBatchSize": 2},
    }
    apps = (python("Pid"), python("Fussy"))

    def version() -> str:
        answer = client.post(path, json={"inputs": [tensor]})
        return answer.json().get("model_version", "")

    router_pid = pid_of(client, "pid")
    first = router(*apps, {**digits, "versions": ["1"]})
    deploy(server, write(folder / "first.yaml", first, *base()[1:]))
    until(lambda: version() == "1", "version 1")
    with Traffic(server, (path, {"inputs": [tensor]}), threads=8) as traffic:
        for number in ("2", "1", "2"):
            changed = router(*apps, {**digits, "versions": [number]})
            deploy(server, write(folder / f"{number}.yaml", changed, *base()[1:]))
            until(lambda number=number: version() == number, f"version {number}")
    assert pid_of(client, "pid") == router_pid
    assert traffic.failures == []
    assert traffic.answered > 100


def test_the_same_config_again_loads_what_changed_on_disk(live, client):
    server, folder = live
    for place in ("here", "there"):
        (folder / place / "1").mkdir(parents=True)
        (folder / place / "1" / "text").write_text("old")
    inline = python("Reads", storageUri=str(folder / "here"))
    far = remote("far", "Reads", storageUri=str(folder / "there"), replicas=2)
    user = router(python("Pid"), python("Fussy"), inline)
    config = write(folder / "disk.yaml", user, *base()[1:], far)

    def said() -> set[tuple[str, str]]:
        names = ["reads", "far"] * 4
        answers = [client.post(PIDS.format(name), json=NOTHING).json() for name in names]
        return {(answer["model_name"], answer["outputs"][0]["data"][0]) for answer in answers}

    deploy(server, config)
    ready(client, "pid", "fussy", "one", "two", "reads", "far")
    assert said() == {("reads", "old 1"), ("far", "old 1")}
    for place in ("here", "there"):
        (folder / place / "2").mkdir()
        (folder / place / "2" / "text").write_text("new")
    kept = pid_of(client, "pid"), pid_of(client, "one")
    with Traffic(server, (PIDS.format("reads"), NOTHING), (PIDS.format("far"), NOTHING)) as traffic:
        deploy(server, config)
        until(lambda: said() == {("reads", "new 2"), ("far", "new 2")}, "what is new")
    assert (pid_of(client, "pid"), pid_of(client, "one")) == kept
    assert traffic.failures == []


def test_a_wrong_user_config_changes_nothing(live, client):
    server, folder = live
    router_pid = pid_of(client, "pid")
    wrong = router(python("Pid"), python("Fussy"), limitz={"maxBodyBytes": 200})
    later = router(python("Pid"), python("Fussy"), python("Slow", options={"seconds": 0.01}))
    with Traffic(server, (PIDS.format("pid"), NOTHING)) as traffic:
        deploy(server, write(folder / "wrong.yaml", wrong, *base()[1:]))
        deploy(server, write(folder / "later.yaml", later, *base()[1:]))
        ready(client, "pid", "fussy", "one", "two", "slow")
    assert pid_of(client, "pid") == router_pid
    assert traffic.failures == []


def test_a_default_version_is_routing(live, client, demo_models: Path):
    server, folder = live
    tensors = {
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
    }
    uri = (demo_models / "digits").as_uri()
    digits = {"name": "digits", "modelFormat": "torch", "storageUri": uri, **tensors}
    pixels = {"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": [0] * 64}

    def version() -> str:
        answer = client.post(PIDS.format("digits"), json={"inputs": [pixels]})
        return answer.json().get("model_version", answer.text)

    models = (python("Pid"), python("Fussy"), digits)
    deploy(server, write(folder / "v2.yaml", router(*models), *base()[1:]))
    until(lambda: version() == "2", "the newest is the default")
    routing = {"digits": {"defaultVersion": "1"}}
    deploy(server, write(folder / "v1.yaml", router(*models, routing=routing), *base()[1:]))
    until(lambda: version() == "1", "the configured default")


def test_a_router_that_starts_while_a_model_changes_serves_it(live, client):
    """A replica's place is taken by one that has never seen the model other than DEPLOYING.

    The last one here: what it leaves deploying would be the next one's.
    """
    server, folder = live

    def changed(cpus: float, model_cpus: float):
        route, *rest = router(python("Pid"), python("Fussy")), remote("one", "Pid", replicas=2)
        route["deployments"][0] |= {"num_replicas": 2, "ray_actor_options": {"num_cpus": cpus}}
        (one,) = rest
        one["deployments"] = [{"name": "ModelReplica", "ray_actor_options": {"num_cpus": model_cpus}}]
        return route, one, remote("two", "Pid")

    deploy(server, write(folder / "two.yaml", *changed(0.3, 0.1)))
    before = until(lambda: two_of({pid_of(client, "pid") for _ in range(40)}), "two Routers")
    until(lambda: everywhere_ready(client, "one"), "the model on both of them")
    with Traffic(server, (PIDS.format("one"), NOTHING)) as traffic:
        deploy(server, write(folder / "replaced.yaml", *changed(0.2, 0.05)))
        until(lambda: not before & {pid_of(client, "pid") for _ in range(40)}, "other Routers")
    assert traffic.failures == []
    assert traffic.answered > 50
