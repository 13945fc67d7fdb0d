"""The whole command; and what a pickle can't do that wants to do harm."""

import json
import os

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from serve_app.errors import ConfigError
from serve_app.tools.cli import main
from serve_app.tools.convert import apart, confine, pickles
from tests.unit.runtimes.tabular import Served
from tests.unit.tools.convert.evil import Evil, options

X, Y = load_iris(return_X_y=True)
# Each line is tried in the process that unpickles; what came of it is in the error that it ends with.
TRIES = {
    "network": "socket.create_connection(('127.0.0.1', PORT), 2)",
    "write": "open(OUTSIDE + '/written', 'w')",
    "read": "open(OUTSIDE + '/secret').read()",
    "kill": "os.kill(PARENT, 0)",
    "variable": "os.environ['TANDEM_TEST_SECRET']",
    "environment": "open('/proc/%d/environ' % PARENT).read()",
    "home": "open(os.path.expanduser('~') + '/made', 'w')",
    "processes": "[n for n in os.listdir('/proc') if n.isdigit()]",
    "capabilities": "[l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1]",
}


@pytest.fixture
def pickled(tmp_path):
    (tmp_path / "m").mkdir()
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, Y), tmp_path / "m" / "model.joblib")
    return tmp_path / "m" / "model.joblib"


async def test_a_pickle_becomes_skops_beside_it(pickled, capsys):
    (pickled.parent / "rows.json").write_text(json.dumps({"instances": X[:5].tolist()}))
    assert main(["convert", str(pickled), "--rows", str(pickled.parent / "rows.json")]) == 0
    out = capsys.readouterr().out
    assert "model.skops: the same answers to 5 rows: predict, predict_proba" in out
    assert out.endswith("\nmodelFormat: sklearn\n")
    assert sorted(one.name for one in pickled.parent.iterdir()) == [
        "model.joblib", "model.skops", "rows.json",
    ]  # fmt: skip
    served = Served(pickled.parent, "sklearn")  # without trust: it takes the safe one
    assert await served.v1({"instances": X[[0, 60]].tolist()}) == [0, 1]
    served.close()


def test_what_a_pickle_cannot_do(tmp_path, monkeypatch, unused_port):
    monkeypatch.setenv("TANDEM_TEST_SECRET", "hush")
    (tmp_path / "secret").write_text("hush")
    names = {"PORT": unused_port, "OUTSIDE": str(tmp_path), "PARENT": os.getpid()}
    lines = ["import os, socket, json", "found = {}", *(f"{k} = {v!r}" for k, v in names.items())]
    for name, code in TRIES.items():
        lines += ["try:", f"  found[{name!r}] = str({code})", "except Exception as e:",
                  f"  found[{name!r}] = type(e).__name__"]  # fmt: skip
    lines.append("raise ValueError(json.dumps(found))")
    joblib.dump(Evil("\n".join(lines)), tmp_path / "model.pkl")
    with pytest.raises(ConfigError) as failed:
        pickles.run(options(tmp_path / "model.pkl"))
    found = json.loads(str(failed.value).partition("ValueError: ")[2])
    refused = {"PermissionError", "OSError", "ConnectionRefusedError"}
    assert found["network"] in refused
    assert {found[name] for name in ("read", "write", "environment", "processes")} == {"PermissionError"}
    assert (found["kill"], found["variable"]) == ("ProcessLookupError", "KeyError")
    assert int(found["capabilities"], 16) == 0
    assert found["home"].startswith("<_io.")  # a folder that is thrown away
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.pkl", "secret"]


@pytest.fixture
def unused_port():
    """One on which somebody listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_what_the_kernel_refuses_is_told(monkeypatch):
    def refuses() -> None:
        raise PermissionError(1, "Operation not permitted")

    left: list[str] = []
    confine._try(refuses, "network", left)
    assert left == ["network (Operation not permitted)"]


def test_a_pickle_that_never_ends(tmp_path, monkeypatch):
    joblib.dump(Evil("while True: pass"), tmp_path / "model.pkl")
    monkeypatch.setattr(apart, "SECONDS", 3)
    with pytest.raises(ConfigError, match="wasn't loaded and tried within 3 s"):
        pickles.run(options(tmp_path / "model.pkl"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [("model.pkl", b"\x80\x04nonsense", "in the process apart: "), ("none.pkl", None, "no such file"),
     ("model.bin", b"x", "nothing that can be converted")],
)  # fmt: skip
def test_what_is_no_pickle(tmp_path, capsys, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert main(["convert", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err


def test_where_it_is_written(tmp_path, pickled):
    assert pickles._target(None, pickled, "model.skops") == pickled.with_suffix(".skops")
    assert pickles._target(tmp_path, pickled, "model.onnx") == tmp_path / "model.onnx"
    (tmp_path / "made").write_bytes(b"whole")
    (tmp_path / "old").write_bytes(b"old")
    assert pickles._place(tmp_path / "made", tmp_path / "old").read_bytes() == b"whole"
    with pytest.raises(FileNotFoundError):
        pickles._place(tmp_path / "missing", tmp_path / "old")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m", "made", "old"]
    assert (tmp_path / "old").read_bytes() == b"whole"
