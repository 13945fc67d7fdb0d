"""The names of an output's classes: in the configuration, in a file, in the model itself."""

import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.labels import put_labels
from tests.unit.runtimes.texts import loaded, save_classifier

OUTPUT = {"name": "y", "datatype": "FP32", "shape": [-1, 2]}


def labels(folder=None, **keys):
    config = parse(
        ModelConfig,
        {"modelFormat": "python", "class": "a:B", "outputs": [OUTPUT | keys]},
    )
    about = VersionDescription([], [TensorSpec("y", "FP32", (-1, 2)), TensorSpec("z", "FP32", (-1,))])
    put_labels(config, about, folder)
    assert about.outputs[1].labels is None
    return about.outputs[0].labels


def test_a_list():
    assert labels(labels=["cat", "dog"]) == ["cat", "dog"]
    assert labels() is None


@pytest.mark.parametrize("place", ["1", "."])
def test_a_file_in_the_version_s_folder_or_beside_it(tmp_path, place):
    """As Triton's label_filename: a label in each line."""
    (tmp_path / "1").mkdir()
    (tmp_path / place / "labels.txt").write_text("Katze\nHündin\n", encoding="utf-8")
    assert labels(tmp_path / "1", labelFilename="labels.txt") == ["Katze", "Hündin"]


def test_the_version_s_own_comes_first(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "labels.txt").write_text("a")
    (tmp_path / "1" / "labels.txt").write_text("b")
    assert labels(tmp_path / "1", labelFilename="labels.txt") == ["b"]


def test_no_file(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "labels.txt").write_text("of another model")
    with pytest.raises(ConfigError, match=r"labelFilename 'labels.txt': not in .*model$"):
        labels(tmp_path / "model", labelFilename="labels.txt")
    with pytest.raises(ConfigError, match="without storageUri there is no folder"):
        labels(labelFilename="labels.txt")
    (tmp_path / "model" / "labels.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"labels.txt: .*can't decode"):
        labels(tmp_path / "model", labelFilename="labels.txt")


@pytest.mark.parametrize(
    ("key", "keys", "says"),
    [
        ("outputs", {"labelFilename": "../labels.txt"}, "is no file's name"),
        ("outputs", {"labelFilename": "a.txt", "labels": ["a"]}, "one or the other"),
        ("inputs", {"labels": ["a"]}, "an input has no classes"),
    ],
)
def test_what_is_refused(key, keys, says):
    with pytest.raises(ConfigError, match=says):
        parse(ModelConfig, {"modelFormat": "python", "class": "a:B", key: [OUTPUT | keys]})


def test_a_classifier_of_transformers_has_its_own(tmp_path):
    save_classifier(tmp_path)
    (odds, _) = loaded(tmp_path, task="text-classification").metadata().outputs
    assert odds.name == "probabilities"
    assert odds.labels is not None
    assert len(odds.labels) == odds.shape[1]
