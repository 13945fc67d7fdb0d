"""The quickstart's digits out of a bucket: inline and with replicas, fetched once, checked, changed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serve.configs import python, router, write
from tests.serve.live import deploy, index, processes, until
from tests.server import MODES, ROOT, Server, Setup
from tests.storage.bucket import S3Bucket, s3
from tests.storage.web import serving

LIVE = Setup(MODES[0], "storage", lambda folder: write(folder / "base.yaml", router(python("Pid"))))
pytestmark = pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)

DIGITS = ROOT / ".models" / "digits-onnx"
QUICKSTART = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())
ROUTER = QUICKSTART["applications"][0]["deployments"][0]["user_config"]
LONG = 150  # seconds: a request that a store never answers is given up after 60, and made again
AWAY = "its store can't be asked: HTTPError: HTTP Error 503: Service Unavailable; tried again in "
SEVEN = ROUTER["models"][1]["inputs"][0]["example"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Bucket]:
    with s3() as url:
        yield S3Bucket(url, "models")


def onnx(uri: str, **more: Any) -> dict[str, Any]:
    return {"modelFormat": "onnx", "storageUri": uri, "options": {"threads": 1}, **more}


def application(name: str, uri: str, **more: Any) -> dict[str, Any]:
    args = onnx(uri, resources={"num_cpus": 0.1}, **more)
    path = "serve_app.app:build_model"
    return {"name": name, "route_prefix": None, "import_path": path, "args": args}


class Running:
    """The server, to which applications are deployed whose processes are led to the bucket."""

    def __init__(self, server: Server, bucket: S3Bucket) -> None:
        self.server, self.folder = server, server.config.parent
        self.cache = self.folder / "cache"
        self._env = {"env_vars": {**bucket.env, "TANDEM_CACHE": str(self.cache)}}
        self._before = len(server.text())

    def deploy(self, *applications: dict[str, Any]) -> None:
        led = [{**one, "runtime_env": self._env} for one in applications]
        deploy(self.server, write(self.folder / "models.yaml", *led))

    def text(self) -> str:
        return self.server.text()[self._before :]


@pytest.fixture(scope="module")
def running(bucket: S3Bucket, server: Server, demo_models: Path) -> Running:
    """Digits three times out of the bucket, and a model that isn't there."""
    uri = bucket.put_folder(DIGITS, "digits")
    found = Running(server, bucket)
    models = onnx(uri, name="inline"), onnx(bucket.uri("nothing"), name="nothing")
    found.deploy(router(*models), application("replicas", uri, replicas=2))
    with server.http() as client:
        until(lambda: known(client) == {"inline": "", "replicas": ""}, "they are there")
    return found


def known(client: Any) -> dict[str, str]:
    """What the index says, but of the model that isn't there."""
    return {name: reason for name, reason in index(client).items() if name != "nothing"}


def infer(client: Any, model: str) -> Any:
    inputs = [{"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": SEVEN}]
    answer = client.post(f"/v2/models/{model}/infer", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    return answer.json()


class Lacking(str):
    """Why something isn't there yet, for the failure's report."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def serves(client: Any, model: str, version: str) -> Any:
    """Whether a model has it; else what is said of the model."""
    about = client.get(f"/v2/models/{model}").json()
    return version in about["versions"] or Lacking(f"{about['versions']} {index(client)}")


def served(running: Running, client: Any, model: str, version: str) -> None:
    """Wait for it; where it doesn't come the failure says where the processes are."""
    try:
        until(lambda: serves(client, model, version), f"{model} {version}", LONG)
    except AssertionError as error:
        found = [str(error)]
        for one in processes(running.server, "ray::ServeReplica:"):
            spy = [str(Path(sys.executable).with_name("py-spy")), "dump", "--pid", str(one.pid)]
            found.append(subprocess.run(spy, capture_output=True, text=True, check=False).stdout)
        raise AssertionError("\n".join(found)) from None


def test_they_serve_and_say_what_they_are(running: Running) -> None:
    with running.server.http() as client:
        for model in ("inline", "replicas"):
            label = next(one for one in infer(client, model)["outputs"] if one["name"] == "label")
            assert label["data"] == [7]
            about = client.get(f"/v2/models/{model}").json()
            assert about["properties"]["checksum"].startswith("sha256:")
        # A deploy that is done may be followed by the Steward's word, for which it is tried once more.
        reason = until(lambda: _missing(index(client)["nothing"]), "its reason")
    assert "hunter2" not in reason
    published = list(running.cache.glob("v1-*/entries/*"))
    assert len(published) == len([one for one in DIGITS.iterdir() if one.is_dir()])
    fetched = running.text().count(": fetched in ")
    assert fetched <= len(published)


def _missing(reason: str) -> str:
    return reason if "s3://models/nothing': there is no such thing" in reason else ""


def test_a_new_version_and_one_that_is_broken(running: Running, bucket: S3Bucket) -> None:
    before = sorted(int(one.name) for one in DIGITS.iterdir() if one.is_dir())
    newest = str(before[-1] + 1)
    source = DIGITS / str(before[-1])
    bucket.put_folder(source, f"digits/{newest}")
    uri = bucket.uri("digits")
    models = (onnx(uri, name="inline"), onnx(bucket.uri("nothing"), name="nothing"))
    applications = router(*models), application("replicas", uri, replicas=2)
    with running.server.http() as client:
        running.deploy(*applications)
        for model in ("inline", "replicas"):
            served(running, client, model, newest)
        bucket.put(f"digits/{int(newest) + 1}/model.onnx", b"<html>no model</html>")
        running.deploy(*applications)
        until(lambda: "a change was refused" in index(client)["inline"], "the reason", LONG)
        for model in ("inline", "replicas"):
            assert infer(client, model)["model_version"] == newest


def test_one_that_is_on_its_way_says_how_far_it_is(running: Running, bucket: S3Bucket) -> None:
    data = (DIGITS / "1" / "model.onnx").read_bytes()
    with serving() as web, running.server.http() as client:
        web.by_path["/slow/model.onnx"] = data
        web.go_on.clear()
        slow = f"{web.url}/slow/model.onnx"
        models = (
            onnx(bucket.uri("digits"), name="inline", versions=["1"]),
            onnx(slow, name="slow-inline"),
        )
        running.deploy(router(*models), application("slow", slow))
        for model in ("slow-inline", "slow"):
            until(lambda: "fetching " in index(client).get(model, ""), f"{model} on its way", LONG)  # noqa: B023
            assert client.get(f"/v2/models/{model}/ready").status_code == 503
        web.go_on.set()
        for model in ("slow-inline", "slow"):
            until(lambda: index(client)[model] == "", f"{model} there", LONG)  # noqa: B023
            assert infer(client, model)["model_version"] == "1"


def test_a_store_that_was_away_for_a_moment(running: Running) -> None:
    """Nobody deploys again: what couldn't be fetched comes by itself, inline and in replicas."""
    names = ("late-inline", "late")
    with serving() as web, running.server.http() as client:
        web.by_path["/late/model.onnx"] = (DIGITS / "1" / "model.onnx").read_bytes()
        uri = f"{web.url}/late/model.onnx"
        applications = router(onnx(uri, name="late-inline")), application("late", uri)
        web.away = True
        running.deploy(*applications)
        for name in names:
            until(lambda: AWAY in index(client).get(name, ""), f"{name} waits", LONG)  # noqa: B023
        web.away = False
        until(lambda: index(client) == dict.fromkeys(names, ""), "they are there", LONG)
        old = [checksum(client, name) for name in names]
        web.by_path["/late/model.onnx"] += b"\x32\x05other"  # another `doc_string`
        web.away = True
        running.deploy(*applications)
        for name in names:
            refused = f"a change was refused: storageUri '{uri}': its store can't be asked"
            until(lambda: index(client)[name].startswith(refused), f"{name} refused", LONG)  # noqa: B023
            infer(client, name)  # goes on
        web.away = False
        until(lambda: index(client) == dict.fromkeys(names, ""), "they are well", LONG)
        new = [checksum(client, name) for name in names]
        assert new[0] == new[1] != old[0] == old[1]


def checksum(client: Any, model: str) -> str:
    return str(client.get(f"/v2/models/{model}").json()["properties"]["checksum"])
