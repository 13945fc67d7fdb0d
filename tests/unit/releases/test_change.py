"""From a request to a change of the layer, by what there is."""

from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.config import Allow, InlineModel, parse
from serve_app.errors import InvalidArgument, NotFound, Unsupported
from serve_app.releases.asked import Asked
from serve_app.releases.change import Change, Known, change
from serve_app.releases.live import ENTRY, Live

ONNX = {"name": "m", "modelFormat": "onnx", "storageUri": "models/m"}
PARTS = {ENTRY: "x"}
NONE = Allow()


def local(uri: str) -> Path | None:
    return None if "://" in uri else Path("/root") / uri


def base(**more) -> Known:
    return Known(parse(InlineModel, {**ONNX, **more}), None, PARTS, ("1", "2"))


def done(asked: Asked, known: Known, allow: Allow = NONE, upload: str = "") -> Change:
    return change(asked, known, allow, local, upload)


def load(**more) -> Asked:
    return Asked("load", "m", **more)


def unload(version: str = "") -> Asked:
    return Asked("unload", "m", version)


def test_unload_and_load_bring_it_back():
    assert done(unload(), base()).live == Live(PARTS, off=True)
    off = replace(base(), live=Live(PARTS, off=True), loaded=())
    made = done(load(), off)
    assert (made.live, made.read) == (None, True)
    assert done(unload(), off).live == Live(PARTS, off=True)  # again is nothing new


def test_a_plain_load_is_as_the_configuration_has_it():
    """As Triton's, which loads what lies in the repository, whatever a request brought before."""
    changed = replace(base(), live=Live(PARTS, {**ONNX, "concurrency": 4}))
    assert done(load(), changed).live is None


def test_what_only_a_request_brought_is_read_again_and_forgotten_when_it_is_unloaded():
    live = Live({}, {"modelFormat": "onnx"}, "d1")
    known = Known(None, live, {}, ("1",))
    assert (done(load(), known).live, done(load(), known).read) == (live, True)
    assert done(unload(), known).live is None


@pytest.mark.parametrize("asked", [load(), unload(), load(version="1"), unload("1")])
def test_what_nobody_knows(asked):
    with pytest.raises(NotFound, match=f"failed to {asked.verb} 'm'"):
        done(asked, Known())


def test_one_version_alone():
    assert done(unload("1"), base()).live == Live(PARTS, {**ONNX, "versions": ["2"]})
    made = done(load(version="10"), base())
    assert made.live == Live(PARTS, {**ONNX, "versions": ["1", "2", "10"]})
    assert made.read
    assert done(unload("2"), replace(base(), loaded=("2",))).live == Live(PARTS, off=True)
    with pytest.raises(NotFound, match="no version '3'"):
        done(unload("3"), base())
    off = replace(base(), live=Live(PARTS, off=True), loaded=())
    assert done(load(version="1"), off).live == Live(PARTS, {**ONNX, "versions": ["1"]})


def test_keys_of_a_request_are_over_those_of_the_entry():
    made = done(load(config={"concurrency": 2, "batching": {"maxBatchSize": 4}}), base(hangAfter=5))
    assert made.live.config == {
        **ONNX, "hangAfter": 5.0, "concurrency": 2, "batching": {"maxBatchSize": 4},
    }  # fmt: skip
    assert done(load(config={"hangAfter": None}), base(hangAfter=5)).live.config == ONNX


def test_a_wrong_config_is_refused_at_once():
    with pytest.raises(InvalidArgument, match=r"concurency.*did you mean concurrency"):
        done(load(config={"concurency": 2}), base())
    with pytest.raises(InvalidArgument, match="vllm"):
        done(load(config={"modelFormat": "vllm"}), base())
    with pytest.raises(InvalidArgument, match="needs storageUri"):
        done(load(config={"modelFormat": "onnx"}), Known())


def test_files_are_a_folder_of_their_own():
    made = done(load(config={}, files={"1/model.onnx": b"x"}), base(versions=["2"]), upload="d1")
    assert made.live == Live(PARTS, {"name": "m", "modelFormat": "onnx"}, "d1")
    new = done(load(config={"modelFormat": "onnx"}, files={"1/model.onnx": b""}), Known(), upload="d2")
    assert new.live == Live({}, {"modelFormat": "onnx"}, "d2")
    kept = done(load(config={"concurrency": 2}), Known(None, new.live), upload="")
    assert kept.live == Live({}, {"modelFormat": "onnx", "concurrency": 2}, "d2")
    with pytest.raises(InvalidArgument, match=r"config\.storageUri"):
        done(load(config={"storageUri": "x"}, files={"1/model.onnx": b""}), base(), upload="d1")


def test_a_model_with_processes_of_its_own():
    known = Known(None, None, {"m": "x"}, ("1",))
    assert done(unload(), known).live == Live({"m": "x"}, off=True)
    made = done(load(), replace(known, live=Live({"m": "x"}, off=True)))
    assert (made.live, made.read, made.remote) == (None, True, True)
    for asked in (load(config={}), load(files={"1/a.onnx": b""}), load(version="1"), unload("1")):
        with pytest.raises(Unsupported, match="tandem deploy"):
            done(asked, known)


def test_a_change_goes_to_another_process_and_back():
    made = replace(done(unload("1"), base()), id="i", by="me")
    assert Change.of(made.plain) == made
    assert Change.of(Change("i", "m", "load").plain) == Change("i", "m", "load")


# What a request may bring: nothing that runs code or reads from elsewhere, unless it is allowed.

PYTHON = {"name": "m", "modelFormat": "python", "class": "mine:A", "storageUri": "models/m"}
TRUSTED = {
    "name": "m", "modelFormat": "torch", "storageUri": "models/m", "trusted": True,
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}  # fmt: skip


PROXY = {"modelFormat": "v2", "options": {"address": "http://models.svc:8080"}}
SKOPS = {"name": "m", "modelFormat": "sklearn", "storageUri": "models/m",
         "options": {"trustedTypes": ["sklearn.tree._tree.Tree"]}}  # fmt: skip


def of(entry: dict | None) -> Known:
    return Known(parse(InlineModel, entry) if entry else None, None, PARTS if entry else {}, ())


FILES = {"files": {"1/a.onnx": b""}}
CODE, ELSEWHERE = {"classes": ["os:system", "mine"]}, {"storage": ["models", "s3://b/models"]}


@pytest.mark.parametrize(
    ("entry", "asked", "key", "allow"),
    [
        (None, {"config": {"modelFormat": "python", "class": "os:system"}}, "class", CODE),
        (ONNX, {"config": {"modelFormat": "python", "class": "os:system"}}, "class", CODE),
        (PYTHON, {"config": {"class": "mine:B"}}, "class", CODE),
        (PYTHON, {"config": {"options": {"path": "/etc"}}}, "class", CODE),
        (PYTHON, {"config": {}, **FILES}, "class", CODE),
        (PYTHON, {"config": {"storageUri": "models/other"}}, "class", {**CODE, **ELSEWHERE}),
        (TRUSTED, {"config": {}, **FILES}, "trusted", {"trusted": True}),
        (TRUSTED, {"config": {"storageUri": "models/o"}}, "trusted", {"trusted": True, **ELSEWHERE}),
        ({**TRUSTED, "trusted": False}, {"config": {"trusted": True}}, "trusted", {"trusted": True}),
        (ONNX, {"config": {"storageUri": "models/other"}}, "storageUri", ELSEWHERE),
        (ONNX, {"config": {"storageUri": "s3://b/models/x"}}, "storageUri", ELSEWHERE),
        (None, {"config": {"modelFormat": "onnx", "storageUri": "models"}}, "storageUri", ELSEWHERE),
        (None, {"config": PROXY}, r"options\.address", {"storage": ["http://models.svc:8080"]}),
        (
            {**PROXY, "name": "m"},
            {"config": {"options": {"address": "http://models.svc:8080/x"}}},
            r"options\.address",
            {"storage": ["http://models.svc:8080"]},
        ),
        ({**SKOPS, "options": {}}, {"config": SKOPS}, r"options\.trustedTypes", {"trusted": True}),
        (SKOPS, {"config": {}, **FILES}, r"options\.trustedTypes", {"trusted": True}),
    ],
)
def test_it_has_to_be_allowed(entry, asked, key, allow):
    with pytest.raises(InvalidArgument, match=rf"config\.{key}.*admin\.allow\."):
        done(load(**asked), of(entry), upload="d" if "files" in asked else "")
    upload = "d" if "files" in asked else ""
    assert done(load(**asked), of(entry), parse(Allow, allow), upload).live


@pytest.mark.parametrize("entry", [ONNX, PYTHON, TRUSTED, SKOPS, {**PROXY, "name": "m"}])
def test_what_the_configuration_has_is_allowed(entry):
    assert done(load(config={**entry, "concurrency": 2}), of(entry)).live


@pytest.mark.parametrize(
    "uri",
    [
        "models/../etc", "/etc", "file:///etc", "modelsx", "/root/models/../../etc", "s3://b/modelsx",
        "s3://b/models/../secret", "s3://other/models/x", "gs://b/models/x", "s3://b/models/%2e%2e/x",
        "s3://user@b/models/x", "s3://b/models/x?versionId=1", "hf://owner/name", "s3://b/models//x",
    ],
)  # fmt: skip
def test_what_lies_elsewhere_isnt_in_a_place_that_is_allowed(uri):
    def resolved(one: str) -> Path | None:
        if "://" in one and not one.startswith("file://"):
            return None
        return (Path("/root") / one.removeprefix("file://")).resolve()

    allow = parse(Allow, ELSEWHERE)
    with pytest.raises(InvalidArgument, match=r"admin\.allow\.storage: models, s3://b/models"):
        change(load(config={"storageUri": uri}), base(), allow, resolved, "")
    assert change(load(config={"storageUri": "models/x"}), base(), allow, resolved, "").live


def test_the_only_version_that_answers_isn_t_unloaded_until_another_one_does():
    """Of a promotion, say: all requests would be refused, though another version is loaded."""
    promoted = replace(base(), answer=("2",))
    with pytest.raises(InvalidArgument, match=r"version 2 alone answers .* \(tandem traffic m 1=100\)"):
        done(unload("2"), promoted)
    assert done(unload("1"), promoted).live == Live(PARTS, {**ONNX, "versions": ["2"]})
    shared = replace(base(), answer=("1", "2"))
    assert done(unload("2"), shared).live == Live(PARTS, {**ONNX, "versions": ["1"]})
    assert done(unload(), promoted).live == Live(PARTS, off=True)
    # What nobody answers by already isn't made worse.
    elsewhere = replace(base(), answer=("7",))
    assert done(unload("2"), elsewhere).live == Live(PARTS, {**ONNX, "versions": ["1"]})


def test_versions_that_a_rollout_compares_aren_t_unloaded():
    rolled = replace(base(), loaded=("1", "2", "3"), answer=("1",), rolled=("2", "1"))
    for version, other in (("1", "2"), ("2", "1")):
        match = rf"a rollout compares version {version} with version {other}: abort or promote it first"
        with pytest.raises(InvalidArgument, match=match):
            done(unload(version), rolled)
    assert done(unload("3"), rolled).live == Live(PARTS, {**ONNX, "versions": ["1", "2"]})
    assert done(unload(), rolled).live == Live(PARTS, off=True)
