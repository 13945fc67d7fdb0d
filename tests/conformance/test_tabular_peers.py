"""The same file and requests, answered by KServe's and MLServer's own runtimes and by ours: equal."""

import json
import subprocess

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.server import ROOT
from tests.unit.runtimes.tabular import Served, column, matrix

pytestmark = pytest.mark.long  # each imports a whole server

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]
NAMES = np.array(["setosa", "versicolor", "virginica"])


def asked(peer: str, model_format: str, file, **requests) -> dict:
    """What the peer answers."""
    needs = {"kserve": "import kserve", "mlserver": "import mlserver_sklearn, mlserver_xgboost"}[peer]
    python = ROOT / f".venv-{peer}" / "bin" / "python"
    probe = [str(python), "-c", f"import joblib, sklearn, xgboost; {needs}"]
    if not python.exists() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip(f"{peer} and its runtimes aren't installed: make .venv-{peer}/.bench")
    done = subprocess.run(
        [str(python), "-m", "tests.conformance.tabular_peer", peer, model_format, str(file)],
        input=json.dumps({"v1": [], "outputs": [], "parameters": {}, **requests}),
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iris")
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, NAMES[Y]), folder / "model.joblib")
    return folder


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, Y).save_model(folder / "model.ubj")
    return folder


async def test_sklearn_as_mlserver(iris):
    outputs = ("predict", "predict_proba")
    theirs = asked("mlserver", "sklearn", iris / "model.joblib", v2=[matrix(ROWS)], outputs=outputs)
    served = Served(iris, "sklearn", trusted=True)
    ours = await served.v2([matrix(ROWS)], outputs)
    served.close()
    label, odds = theirs["v2"]
    assert [label["name"], odds["name"]] == list(ours)
    assert (label["datatype"], label["data"]) == (ours["predict"]["datatype"], ours["predict"]["data"])
    # MLServer writes columns of one as [n, 1]; the numbers are the same.
    assert np.prod(label["shape"]) == np.prod(ours["predict"]["shape"]) == 3
    assert odds | {"name": None} == ours["predict_proba"] | {"name": None}


async def test_sklearn_as_kserve(tmp_path):
    """Labels that are numbers: over V2 its own server fails on texts."""
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, Y), tmp_path / "model.joblib")
    body = {"instances": ROWS.tolist()}
    theirs = asked("kserve", "sklearn", tmp_path / "model.joblib", v1=[body], v2=[matrix(ROWS)])
    served = Served(tmp_path, "sklearn", trusted=True)
    assert theirs["v1"] == [await served.v1(body)]
    (answer,) = (await served.v2([matrix(ROWS)])).values()
    served.close()
    assert theirs["v2"] == [answer]


async def test_data_frames_as_kserve(tmp_path):
    frame = pd.DataFrame({"area": [50.0, 80, 120, 65], "city": ["Rome", "Oslo", "Rome", "Bern"]})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"), LinearRegression()
    ).fit(frame, [100, 300, 260, 150])
    joblib.dump(model, tmp_path / "model.joblib")
    bodies = [{"instances": [{"area": [80.0], "city": ["Oslo"]}, {"area": [3.0], "city": ["Bern"]}]},
              {"instances": [[{"area": 80.0, "city": "Oslo"}]]}]  # fmt: skip
    inputs = [column("area", "FP64", [80.0, 3.0]), column("city", "BYTES", ["Oslo", "Bern"])]
    pd_content = {"content_type": "pd"}
    theirs = asked("kserve", "sklearn", tmp_path / "model.joblib",
                   v1=bodies, v2=inputs, parameters=pd_content)  # fmt: skip
    served = Served(tmp_path, "sklearn", trusted=True)
    assert theirs["v1"] == [await served.v1(body) for body in bodies]
    (answer,) = (await served.v2(inputs, parameters=pd_content)).values()
    served.close()
    assert theirs["v2"] == [answer]


async def test_xgboost_as_kserve(trees):
    body = {"instances": ROWS.tolist()}
    asking = matrix(ROWS, "input-0", "FP32")
    theirs = asked("kserve", "xgboost", trees / "model.ubj", v1=[body], v2=[asking])
    served = Served(trees, "xgboost")
    assert np.array_equal(np.array(theirs["v1"][0], "f4"), np.array(await served.v1(body), "f4"))
    (answer,) = (await served.v2([asking])).values()
    served.close()
    (theirs_v2,) = theirs["v2"]
    assert (theirs_v2["datatype"], theirs_v2["shape"]) == (answer["datatype"], answer["shape"])
    assert np.array_equal(np.array(theirs_v2["data"], "f4"), np.array(answer["data"], "f4"))


async def test_xgboost_as_mlserver(trees):
    outputs = ("predict", "predict_proba")
    theirs = asked("mlserver", "xgboost", trees / "model.ubj", v2=[matrix(ROWS)], outputs=outputs)
    served = Served(trees, "xgboost", options={"interface": "sklearn"})
    ours = await served.v2([matrix(ROWS)], outputs)
    served.close()
    label, odds = theirs["v2"]
    assert (label["datatype"], label["data"]) == (ours["predict"]["datatype"], ours["predict"]["data"])
    assert odds["datatype"] == ours["predict_proba"]["datatype"] == "FP32"
    assert np.array_equal(np.array(odds["data"], "f4"), np.array(ours["predict_proba"]["data"], "f4"))
