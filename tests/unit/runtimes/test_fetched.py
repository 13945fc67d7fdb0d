"""Why fetched files can't be loaded is said of where they come from, not of the node's cache."""

import io
import tarfile

import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError
from serve_app.runtimes.host import ModelHost
from tests.storage.web import serving
from tests.unit.repository.stores import Memory

PICKLE = b"\x80\x04N."


class Reads:
    """Opens a file that isn't there."""

    def load(self, folder):
        (folder / "weights").read_bytes()

    def predict(self, inputs, parameters):
        return inputs


class Raises(Reads):
    """Says in its own words which file it can't read."""

    def load(self, folder):
        raise RuntimeError(f"{folder / 'weights'} has no header")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def why(about: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        ModelHost(parse(ModelConfig, {"name": "m", **about})).load()
    return str(caught.value)


PYTHON = {"modelFormat": "python"}
SPEC = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
TORCH = {"modelFormat": "torch", "inputs": SPEC, "outputs": SPEC}
CASES = [
    ({"modelFormat": "onnx"}, "model.onnx", b"no model", "/model.onnx: "),
    ({"modelFormat": "onnx"}, "other.onnx", b"no model", ": expected exactly one of model.onnx"),
    (TORCH, "model.pt2", b"no archive", "/model.pt2 is no torch.export archive"),
    (TORCH, "model.pt", b"no archive", "/model.pt"),
    ({**TORCH, "trusted": True}, "model.pt", b"no archive", "/model.pt: "),
    ({"modelFormat": "sklearn"}, "model.pkl", PICKLE, "/model.pkl is a pickle"),
    ({"modelFormat": "sklearn"}, "model.skops", b"no archive", "/model.skops"),
    ({"modelFormat": "sklearn", "trusted": True}, "model.pkl", b"\x80", "/model.pkl can't be unpickled"),
    ({"modelFormat": "xgboost"}, "model.json", b"{}", "/model.json: "),
    ({"modelFormat": "lightgbm"}, "model.txt", b"no trees", "/model.txt"),
    ({"modelFormat": "mlflow"}, "model.onnx", b"", ": there is no MLmodel"),
    ({"modelFormat": "mlflow"}, "MLmodel", b"flavors: {}", "/MLmodel: "),
    ({"modelFormat": "transformers", "options": {"task": "embedding"}}, "config.json", b"{", ""),
    ({**PYTHON, "class": f"{__name__}:Reads"}, "other", b"", "/weights'"),
    ({**PYTHON, "class": f"{__name__}:Raises"}, "other", b"", "/weights has no header"),
]


@pytest.mark.parametrize(
    ("about", "name", "data", "said"),
    CASES,
    ids=lambda value: value["modelFormat"] if isinstance(value, dict) else str(value)[:20],
)
def test_a_version_in_a_bucket(cache, monkeypatch, about, name, data, said):
    monkeypatch.setattr("serve_app.repository.fetching.store", Memory({f"1/{name}": data}))
    reason = why({"storageUri": "s3://bucket/m", **about})
    assert f"s3://bucket/m/1{said}" in reason
    assert str(cache) not in reason


def test_a_cache_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "link"))
    monkeypatch.setattr("serve_app.repository.fetching.store", Memory({"model.onnx": b"no model"}))
    reason = why({"modelFormat": "onnx", "storageUri": "s3://bucket/m"})
    assert "s3://bucket/m/model.onnx: " in reason
    assert str(tmp_path) not in reason


def test_a_file_of_the_web_and_what_is_in_an_archive(cache):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (("1/model.onnx", b"no model"), ("v3/model.onnx", b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with serving() as web:
        web.by_path |= {"/m/model.onnx": b"no model", "/m.tar.gz": packed.getvalue()}
        alone = {"modelFormat": "onnx", "storageUri": f"{web.url}/m/model.onnx"}
        several = {"modelFormat": "onnx", "storageUri": f"{web.url}/m.tar.gz"}
        assert f"version 1: {web.url}/m/model.onnx: " in why(alone)
        assert f"version 1: {web.url}/m.tar.gz/1/model.onnx: " in why(several)
        reason = why({**several, "versions": ["3"]})
    assert f"3 asked for, {web.url}/m.tar.gz holds 1; v3 is no version" in reason


def test_a_folder_of_this_machine_is_called_what_it_is(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.onnx").write_bytes(b"no model")
    reason = why({"modelFormat": "onnx", "storageUri": str(tmp_path)})
    assert f"{tmp_path / '1' / 'model.onnx'}: " in reason
