"""Triton's forms of load and unload, and what is refused of them."""

import base64
import json

import pytest

from serve_app.errors import InvalidArgument, TooLarge
from serve_app.releases.asked import Asked, asked

MOST = 100


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("verb", "parameters", "expected"),
    [
        ("load", {}, Asked("load", "m")),
        ("unload", {}, Asked("unload", "m")),
        ("unload", {"unload_dependents": True}, Asked("unload", "m")),
        ("unload", {"unload_dependents": False}, Asked("unload", "m")),
        ("unload", {"version": "2"}, Asked("unload", "m", "2")),
        ("load", {"version": 2}, Asked("load", "m", "2")),
        ("load", {"config": '{"name": "m", "modelFormat": "onnx"}'},
         Asked("load", "m", config={"modelFormat": "onnx"})),
        ("load", {"config": {"concurrency": 2}}, Asked("load", "m", config={"concurrency": 2})),
        ("load", {"file:1/model.onnx": b64(b"abc")}, Asked("load", "m", files={"1/model.onnx": b"abc"})),
        ("load", {"file:1/a/b.json": b"{}"}, Asked("load", "m", files={"1/a/b.json": b"{}"})),
    ],
)  # fmt: skip
def test_what_is_asked(verb, parameters, expected):
    assert asked(verb, "m", parameters, MOST) == expected


@pytest.mark.parametrize(
    ("verb", "parameters", "word"),
    [
        ("load", {"unload_dependents": True}, "unload_dependents"),
        ("unload", {"config": "{}"}, "config"),
        ("load", {"versoin": "2"}, "version"),
        ("unload", {"unload_dependents": "yes"}, "true or false"),
        *(
            ("load", {"version": bad}, "positive integer")
            for bad in (0, -1, "v2", "", True, 1.5, None, [])
        ),
        ("load", {"config": "{"}, "JSON"), ("load", {"config": "[]"}, "JSON object"),
        ("load", {"config": 3}, "JSON object"), ("load", {"config": '{"name": "other"}'}, "'m'"),
        ("load", {"file:1/model.onnx": "not base64!"}, "base64"),
        ("load", {"file:1/model.onnx": 7}, "base64"),
        ("load", {"file:1/model.onnx": "", "version": "1"}, "version"),
        *(
            ("load", {f"file:{path}": ""}, "file:")
            for path in (
                "", "1", "1/", "model.onnx", "0/model.onnx", "v1/model.onnx", "1//model.onnx",
                "../1/model.onnx", "1/../../x.onnx", "1/./x.onnx", "/1/x.onnx", "1/a b.onnx",
                "1/.hidden/x.onnx", "1/x\0.onnx", "1/x.onnx\n", "1\\x.onnx", f"1/{'a' * 200}.onnx",
                "1/model.pkl", "1/model.pt", "1/model.py", "1/model.joblib", "1/a.bin", "1/x",
            )
        ),
        ("load", {"file:1/a.json": "", "file:1/a.json/b.json": ""}, "a file and a folder"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(verb, parameters, word):
    with pytest.raises(InvalidArgument, match=word.replace("(", r"\(")):
        asked(verb, "m", parameters, MOST)


def test_files_have_a_limit():
    assert asked("load", "m", {"file:1/a.onnx": b64(b"x" * MOST)}, MOST).files
    with pytest.raises(TooLarge, match=r"101 bytes.*maxUploadBytes.*100"):
        asked("load", "m", {"file:1/a.onnx": b64(b"x" * 60), "file:2/a.onnx": b64(b"x" * 41)}, MOST)
    with pytest.raises(InvalidArgument, match="maxUploadBytes is 0"):
        asked("load", "m", {"file:1/a.onnx": b64(b"x")}, 0)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"backend": "onnxruntime"}, {"modelFormat": "onnx"}),
        ({"platform": "pytorch_libtorch"}, {"modelFormat": "torch"}),
        ({"max_batch_size": 8}, {"batching": {"maxBatchSize": 8}}),
        ({"max_batch_size": 0}, {"batching": None}),
        ({"dynamic_batching": {}}, {}),
        ({"version_policy": {"specific": {"versions": [1, 3]}}}, {"versions": [1, 3]}),
        ({"version_policy": {"latest": {"num_versions": 1}}}, {"versions": "latest"}),
        ({"version_policy": {"all": {}}}, {"versions": "all"}),
        ({"instance_group": []}, {}),  # says nothing
        ({"modelFormat": "onnx", "backend": ""}, {"modelFormat": "onnx"}),
    ],
)
def test_tritons_own_keys_where_they_mean_something(config, expected):
    assert asked("load", "m", {"config": json.dumps(config)}, MOST).config == expected


@pytest.mark.parametrize(
    "config",
    [
        {"backend": "python"}, {"platform": "tensorflow_graphdef"}, {"backend": []},
        {"max_batch_size": "8"},
        {"max_batch_size": -1}, {"version_policy": {"latest": {"num_versions": -3}}},
        {"instance_group": [{"count": 2}]}, {"ensemble_scheduling": {"step": []}},
        {"parameters": {"EXECUTION_ENV_PATH": {"string_value": "/x"}}},
    ],
)  # fmt: skip
def test_tritons_keys_that_mean_nothing_here_are_named(config):
    with pytest.raises(InvalidArgument, match=rf"config\.{next(iter(config))}"):
        asked("load", "m", {"config": json.dumps(config)}, MOST)
