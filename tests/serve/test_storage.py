"""The quickstart's digits out of a bucket: inline and with replicas, fetched once, checked, changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serve.configs import router, write
from tests.serve.live import deploy, index, until
from tests.server import ROOT
from tests.storage.bucket import S3Bucket, s3
from tests.storage.web import serving

pytestmark = pytest.mark.live

DIGITS = ROOT / ".models" / "digits-onnx"
QUICKSTART = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())
ROUTER = QUICKSTART["applications"][0]["deployments"][0]["user_config"]
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


@pytest.fixture(scope="module")
def running(
    bucket: S3Bucket,
    start_module_server: Any,
    tmp_path_factory: pytest.TempPathFactory,
    demo_models: Path,
) -> Any:
    """A server with digits three times out of the bucket, and a model that isn't there."""
    folder = tmp_path_factory.mktemp("storage")
    uri = bucket.put_folder(DIGITS, "digits")
    config = write(
        folder / "base.yaml",
        router(onnx(uri, name="inline"), onnx(bucket.uri("nothing"), name="nothing")),
        application("replicas", uri, replicas=2),
    )
    cache = folder / "cache"
    return start_module_server(config, env={**bucket.env, "TANDEM_CACHE": str(cache)}), cache, folder


def infer(client: Any, model: str) -> Any:
    inputs = [{"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": SEVEN}]
    answer = client.post(f"/v2/models/{model}/infer", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_they_serve_and_say_what_they_are(running: Any) -> None:
    server, cache, _ = running
    with server.http() as client:
        for model in ("inline", "replicas"):
            label = next(one for one in infer(client, model)["outputs"] if one["name"] == "label")
            assert label["data"] == [7]
            about = client.get(f"/v2/models/{model}").json()
            assert about["properties"]["checksum"].startswith("sha256:")
        reason = index(client)["nothing"]
    assert "s3://models/nothing': there is no such thing" in reason
    assert "hunter2" not in reason
    published = list(cache.glob("v1-*/entries/*"))
    assert len(published) == len([one for one in DIGITS.iterdir() if one.is_dir()])
    fetched = server.log.read_text().count(": fetched in ")
    assert fetched <= len(published)


def test_a_new_version_and_one_that_is_broken(running: Any, bucket: S3Bucket) -> None:
    server, _, folder = running
    before = sorted(int(one.name) for one in DIGITS.iterdir() if one.is_dir())
    newest = str(before[-1] + 1)
    source = DIGITS / str(before[-1])
    bucket.put_folder(source, f"digits/{newest}")
    uri = bucket.uri("digits")
    models = (onnx(uri, name="inline"), onnx(bucket.uri("nothing"), name="nothing"))
    config = write(folder / "base.yaml", router(*models), application("replicas", uri, replicas=2))
    with server.http() as client:
        deploy(server, config)
        for model in ("inline", "replicas"):
            until(lambda: newest in client.get(f"/v2/models/{model}").json()["versions"], "served", 60)  # noqa: B023
        bucket.put(f"digits/{int(newest) + 1}/model.onnx", b"<html>no model</html>")
        deploy(server, config)
        until(lambda: "a change was refused" in index(client)["inline"], "the reason", 60)
        for model in ("inline", "replicas"):
            assert infer(client, model)["model_version"] == newest


def test_one_that_is_on_its_way_says_how_far_it_is(running: Any, bucket: S3Bucket) -> None:
    server, _, folder = running
    data = (DIGITS / "1" / "model.onnx").read_bytes()
    with serving() as web, server.http() as client:
        web.by_path["/slow/model.onnx"] = data
        web.go_on.clear()
        slow = f"{web.url}/slow/model.onnx"
        models = (
            onnx(bucket.uri("digits"), name="inline", versions=["1"]),
            onnx(slow, name="slow-inline"),
        )
        deploy(server, write(folder / "base.yaml", router(*models), application("slow", slow)))
        for model in ("slow-inline", "slow"):
            until(lambda: "fetching " in index(client).get(model, ""), f"{model} on its way", 60)  # noqa: B023
            assert client.get(f"/v2/models/{model}/ready").status_code == 503
        web.go_on.set()
        for model in ("slow-inline", "slow"):
            until(lambda: index(client)[model] == "", f"{model} there", 60)  # noqa: B023
            assert infer(client, model)["model_version"] == "1"
