"""`versions`: which of them are served."""

import pytest

from serve_app.config import Latest, ModelConfig, parse, served
from serve_app.errors import ConfigError

MODEL = {"name": "m", "modelFormat": "onnx", "storageUri": "m"}


def read(versions):
    return parse(ModelConfig, {**MODEL, "versions": versions}).versions


@pytest.mark.parametrize(
    ("said", "read_as"),
    [
        ("all", "all"), ("latest", "latest"), ({"latest": 2}, Latest(latest=2)),
        ([1, "3"], ["1", "3"]),
        # Triton's model_config.proto, `version_policy`, in the spellings of its JSON
        ({"all": {}}, "all"), ({"latest": {"num_versions": 3}}, Latest(latest=3)),
        ({"latest": {"numVersions": 3}}, Latest(latest=3)), ({"latest": {}}, Latest(latest=1)),
        ({"specific": {"versions": [2, 1]}}, ["2", "1"]),
    ],
)  # fmt: skip
def test_policies(said, read_as):
    assert read(said) == read_as


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("newest", "expected all, latest, {latest: N} or a list of versions, as in [2], got 'newest'"),
        ("3", "as in [3], got '3'"), (3, "as in [3], got 3"),
        ({"latest": 0}, "latest: how many versions, at least 1, got 0"),
        ({"latest": True}, "at least 1, got True"), ({"latest": "2"}, "at least 1, got '2'"),
        ({"latest": {"number": 2}}, "latest: unknown key 'number'; did you mean num_versions?"),
        ({"newest": 2}, "expected all, latest"), ({}, "expected all, latest"),
        ({"all": {"x": 1}}, "expected all, latest"), ({"latest": 1, "all": {}}, "expected all, latest"),
        ({"specific": {"versions": 2}}, "expected all, latest"),
        (["v2"], "a version is a positive integer, not 'v2'"),
        ({"specific": {"versions": [1, 1]}}, "a version is listed twice: 1, 1"),
    ],
)  # fmt: skip
def test_what_is_none(said, message):
    with pytest.raises(ConfigError) as refused:
        read(said)
    assert message in str(refused.value)
    assert str(refused.value).startswith("versions: ")


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("all", ["2", "9", "10"]), ("latest", ["10"]), (Latest(latest=2), ["9", "10"]),
        (Latest(latest=9), ["2", "9", "10"]), (["9", "2"], ["2", "9"]), (["3"], []),
    ],
)  # fmt: skip
def test_served(policy, kept):
    assert served(policy, ["10", "9", "2"]) == kept
