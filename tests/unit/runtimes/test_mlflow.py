"""MLflow's folders, as `mlflow.sklearn.save_model` and its like write them (MLmodel's format, from its
documentation)."""

import json

import joblib
import lightgbm as lgb
import numpy as np
import onnx
import pytest
import xgboost as xgb
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from serve_app.errors import ConfigError, InvalidArgument
from tests.unit.runtimes.tabular import Served, column, matrix, skops_model

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
COLUMNS = json.dumps([{"type": "double", "name": name, "required": True} for name in NAMES])
TENSOR = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}])


def mlmodel(folder, flavors, inputs=None):
    about = {
        "flavors": {**flavors, "python_function": {"loader_module": "x"}},
        "mlflow_version": "3.1.0",
    }
    if inputs:
        about["signature"] = {"inputs": inputs, "outputs": None, "params": None}
    (folder / "MLmodel").write_text(yaml.safe_dump(about))
    return folder


def logistic():
    return LogisticRegression(max_iter=1000).fit(X, Y)


async def test_a_skops_file_with_a_signature_of_columns(tmp_path):
    model = logistic()
    skops_model(tmp_path, model)
    flavor = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "sklearn_version": "1.9.1",
    }
    served = Served(mlmodel(tmp_path, {"sklearn": flavor}, COLUMNS), "mlflow")
    assert served.about()["properties"]["columns"] == ", ".join(NAMES)
    inputs = [column(name, "FP64", ROWS[:, at].tolist()) for at, name in enumerate(NAMES)]
    assert (await served.v2(inputs[::-1]))["predict"]["data"] == [0, 1, 2]
    assert (await served.v2([matrix(ROWS)]))["predict"]["data"] == [0, 1, 2]
    with pytest.raises(InvalidArgument, match="columns are missing: petal width"):
        await served.v2(inputs[:3])
    served.close()


async def test_columns_that_may_be_left_out(tmp_path):
    model = xgb.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, Y)
    model.save_model(tmp_path / "model.ubj")
    entries = [{"type": "double", "name": name, "required": name != NAMES[3]} for name in NAMES]
    flavor = {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBRegressor", "xgb_version": "3.2.0"}
    served = Served(mlmodel(tmp_path, {"xgboost": flavor}, json.dumps(entries)), "mlflow")
    row = dict(zip(NAMES[:3], X[0, :3].tolist(), strict=True))
    expected = model.predict(np.array([[*X[0, :3], np.nan]])).tolist()
    assert await served.v1({"instances": [row]}) == pytest.approx(expected)
    served.close()


async def test_a_pickle_of_mlflow_s_is_a_pickle(tmp_path):
    joblib.dump(logistic(), tmp_path / "model.pkl")
    mlmodel(tmp_path, {"sklearn": {"pickled_model": "model.pkl"}}, TENSOR)
    with pytest.raises(ConfigError, match="tandem convert"):
        Served(tmp_path, "mlflow")
    served = Served(tmp_path, "mlflow", trusted=True, options={"output": "predict_proba"})
    assert (await served.v2([matrix(ROWS)]))["predict_proba"]["shape"] == [3, 3]
    served.close()
    skops_model(tmp_path, logistic())  # what `tandem convert` leaves beside it
    assert Served(tmp_path, "mlflow").about()["platform"] == "mlflow"


async def test_lightgbm_and_onnx(tmp_path):
    model = lgb.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(X, Y)
    model.booster_.save_model(tmp_path / "model.lgb")
    served = Served(mlmodel(tmp_path, {"lightgbm": {"data": "model.lgb"}}), "mlflow")
    assert await served.v1({"instances": ROWS.tolist()}) == model.booster_.predict(ROWS).tolist()
    served.close()
    other = tmp_path / "other"
    other.mkdir()
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", 1, [None, 2])],
        [onnx.helper.make_tensor_value_info("y", 1, [None, 2])],
    )  # fmt: skip
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, other / "model.onnx")
    served = Served(mlmodel(other, {"onnx": {"data": "model.onnx"}}), "mlflow")
    assert [one["name"] for one in served.about()["inputs"]] == ["x"]
    served.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flavors: {spark: {}}", "its flavors are spark, served are onnx, xgboost"),
        ("flavors: {sklearn: {pickled_model: ../other.pkl}}", "names no file in its folder"),
        ("flavors: {sklearn: {}}", "names no file in its folder"),
        ("- 1", "no MLmodel of MLflow's"),
        ("a: [", "no MLmodel of MLflow's"),
    ],
)
def test_what_is_no_mlmodel(tmp_path, text, said):
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(ConfigError, match=said):
        Served(tmp_path, "mlflow")


def test_options_are_those_of_the_flavor(tmp_path):
    mlmodel(tmp_path, {"lightgbm": {"data": "model.lgb"}})
    with pytest.raises(ConfigError, match="of modelFormat lightgbm"):
        Served(tmp_path, "mlflow", options={"output": "predict"})
    with pytest.raises(ConfigError, match="by its MLmodel it is modelFormat lightgbm, not sklearn"):
        Served(tmp_path, "sklearn")


def test_without_mlmodel(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigError, match="there is no MLmodel"):
        Served(tmp_path, "mlflow")
