"""What a pickle's process leaves behind to get out of it: links, other files, and lies."""

import json
import os
import zipfile

import joblib
import numpy as np
import pytest

from serve_app.errors import ConfigError
from serve_app.tools.convert import apart, forms, pickles
from tests.unit.tools.convert.evil import Evil, options

MADE = {"file": "model.skops", "format": "sklearn", "options": {}, "kind": "a.B", "default": "predict"}
# In the folder that the pickle may write to; then it ends well, as if it had made a model.
LEFT = """
import json, os
for name in ("job.json", "said.txt", "after.npz", "error.txt"):
    if os.path.lexists(name):
        os.remove(name)
    os.symlink(VICTIM, name)
os.symlink(OUTSIDE, "made")
for name in ("before.npz", "rows.npz"):
    open(name, "wb").write(NPZ)
if LINK:
    os.symlink(SECRET, "model.skops")
else:
    open("model.skops", "wb").write(b"no model")
for name in ("skops", "numpy", "sklearn", "onnxruntime"):  # for the next process to import
    open(name + ".py", "w").write("raise SystemError(open(%r).read())" % SECRET)
made = MADE | {"privileged": False, "readable": ["/"], "step": "make"}
open("made.json", "w").write(json.dumps(made))
os._exit(0)
"""


@pytest.mark.parametrize("link", [False, True])
def test_a_pickle_that_wants_out(tmp_path, capfd, link):
    """It can have no file written or read for it that it couldn't write or read itself."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("whole")
    (outside / "secret").write_text("hush")
    for one in outside.iterdir():
        one.chmod(0o600)
    forms.write(tmp_path / "some.npz", {"predict": np.zeros(3)})
    names = {"VICTIM": str(outside / "victim"), "SECRET": str(outside / "secret"), "LINK": link,
             "OUTSIDE": str(outside), "MADE": MADE}  # fmt: skip
    names["NPZ"] = (tmp_path / "some.npz").read_bytes()
    code = "\n".join(f"{name} = {value!r}" for name, value in names.items()) + LEFT
    (tmp_path / "m").mkdir()
    joblib.dump(Evil(code), tmp_path / "m" / "model.pkl")
    before = {one.name: one.stat() for one in outside.iterdir()}
    with pytest.raises(ConfigError, match="left no model.skops" if link else "process apart") as failed:
        pickles.run(options(tmp_path / "m" / "model.pkl"))
    said = capfd.readouterr()
    assert "hush" not in str(failed.value) + said.out + said.err
    assert (outside / "victim").read_text() == "whole"
    for one in outside.iterdir():
        was, now = before.pop(one.name), one.stat()
        assert (was.st_uid, was.st_mode, was.st_mtime_ns) == (now.st_uid, now.st_mode, now.st_mtime_ns)
    assert not before
    assert [one.name for one in (tmp_path / "m").iterdir()] == ["model.pkl"]


@pytest.mark.parametrize(
    "lie",
    [
        {"file": "../model.skops"},
        {"file": "/etc/passwd"},
        {"file": "model.pickle"},
        {"file": ["model.skops"]},
        {"format": "python"},
        {"format": "onnx"},
        {"kind": 3},
        {"default": "a\x1b[2J"},
        {"default": None},
        {"options": None},
        {"options": {"trustedTypes": [{}]}},
        {"options": {"trustedTypes": ["a"], "parameters": {}}},
        {"options": {"interface": "sklearn"}},
        {"file": "model.txt", "format": "lightgbm", "options": {"trustedTypes": ["a"]}},
    ],
)
def test_what_it_may_not_say(tmp_path, lie):
    (tmp_path / "made.json").write_text(json.dumps(MADE | lie))
    with pytest.raises(ConfigError, match="isn't made here"):
        apart.said(tmp_path / "made.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, "\xff"])
def test_what_says_nothing(tmp_path, text):
    (tmp_path / "made.json").write_text(text, "latin-1")
    with pytest.raises(ConfigError, match="isn't made here"):
        apart.said(tmp_path / "made.json")


def test_no_more_is_taken_than_is_meant(tmp_path):
    text = json.dumps(MADE | {"privileged": False, "readable": ["/"], "step": "x"})
    (tmp_path / "made.json").write_text(text)
    assert apart.said(tmp_path / "made.json") == apart.Said("model.skops", {}, "a.B", "predict")


def test_only_plain_files_are_taken(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "other").write_bytes(b"secret")
    (tmp_path / "symbolic").symlink_to(tmp_path / "file")
    (tmp_path / "hard").hardlink_to(tmp_path / "other")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("symbolic", "hard", "folder", "pipe", "missing"):
        with pytest.raises(ConfigError, match=f"the process apart left .*{name}"):
            apart.copied(tmp_path / name, tmp_path / "copy", 5)
    with pytest.raises(ConfigError, match="no file of up to 4 bytes"):
        apart.copied(tmp_path / "file", tmp_path / "copy", 4)
    assert apart.copied(tmp_path / "file", tmp_path / "copy", 5).read_bytes() == b"12345"


def test_arrays_that_are_none(tmp_path, monkeypatch):
    path = tmp_path / "before.npz"
    for name, wrong in (("a\x1b[2J", np.zeros(2)), ("a", np.float64(1)), ("a", np.zeros(2, "M8[s]"))):
        forms.write(path, {name: wrong})
        with pytest.raises(ConfigError, match="no answers of a model"):
            apart.arrays(path)
    np.savez(path, names=np.array(["predict"]), array_0=np.array([{}], dtype=object))
    with pytest.raises(ConfigError, match="of the process apart: ValueError"):
        apart.arrays(path)
    path.write_bytes(b"none")
    with pytest.raises(ConfigError, match="BadZipFile"):
        apart.arrays(path)


def test_a_small_file_of_much(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "before.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("names.npy", bytes(100_000))
    monkeypatch.setattr(apart, "MOST_ARRAYS", 50_000)
    with pytest.raises(ConfigError, match="no answers"):
        apart.arrays(tmp_path / "before.npz")


def test_what_it_says_writes_on_no_terminal(tmp_path):
    joblib.dump(Evil("raise ValueError('a\\x1b[2Jb\\nc')"), tmp_path / "model.pkl")
    with pytest.raises(ConfigError, match=r"ValueError: a\?\[2Jb\nc"):
        pickles.run(options(tmp_path / "model.pkl"))


def test_nothing_is_imported_from_where_the_command_runs(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    joblib.dump(Evil("raise ValueError('the end')"), tmp_path / "model.pkl")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the end"):
        pickles.run(options(tmp_path / "model.pkl"))
    assert not (tmp_path / "ran").exists()
