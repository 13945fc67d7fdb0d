"""XGBoost's models: what its booster answers (KServe's server), or its classifier (MLServer's)."""

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris

from serve_app.errors import ConfigError, InvalidArgument
from tests.unit.runtimes.tabular import Served, column, matrix

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]
SMALL = {"n_estimators": 4, "max_depth": 2, "n_jobs": 1}


@pytest.fixture(scope="module")
def iris():
    return xgb.XGBClassifier(**SMALL).fit(X, Y)


def saved(folder, model, name="model.ubj"):
    model.save_model(folder / name)
    return folder


@pytest.mark.parametrize("name", ["model.ubj", "model.json", "mine.ubj"])
async def test_the_booster_s_values_by_default(tmp_path, iris, name):
    served = Served(saved(tmp_path, iris, name), "xgboost")
    expected = iris.get_booster().predict(xgb.DMatrix(ROWS))
    found = await served.v2([matrix(ROWS, "any", "FP32")])
    assert (found["predict"]["datatype"], found["predict"]["shape"]) == ("FP32", [3, 3])
    assert np.array_equal(np.array(found["predict"]["data"], "f4"), expected.ravel())
    assert np.array_equal(np.array(await served.v1({"instances": ROWS.tolist()}), "f4"), expected)
    answer = await served.grpc("x", ROWS.astype("f4"))
    assert np.array_equal(np.array(answer.outputs[0].contents.fp32_contents, "f4"), expected.ravel())
    served.close()


async def test_a_bst_that_is_ubj_inside(tmp_path, iris):
    (saved(tmp_path, iris) / "model.ubj").rename(tmp_path / "model.bst")
    served = Served(tmp_path, "xgboost")
    assert served.about()["inputs"] == [{"name": "input-0", "datatype": "FP32", "shape": [-1, 4]}]
    served.close()


async def test_labels_as_the_classifier_answers_them(tmp_path, iris):
    served = Served(saved(tmp_path, iris), "xgboost", options={"interface": "sklearn"})
    found = await served.v2([matrix(X)], ("predict", "predict_proba"))
    assert found["predict"] == {"datatype": "INT64", "shape": [150], "data": iris.predict(X).tolist()}
    assert np.array_equal(np.array(found["predict_proba"]["data"], "f4"), iris.predict_proba(X).ravel())
    served.close()


async def test_two_classes(tmp_path):
    model = xgb.XGBClassifier(**SMALL).fit(X, Y > 0)
    served = Served(saved(tmp_path, model), "xgboost")
    expected = model.predict_proba(X)
    found = await served.v2([matrix(X)], ("predict", "predict_proba"))
    assert found["predict"]["shape"] == [150]
    assert np.array_equal(np.array(found["predict"]["data"], "f4"), expected[:, 1])
    assert np.array_equal(np.array(found["predict_proba"]["data"], "f4"), expected.ravel())
    labels = Served(tmp_path, "xgboost", options={"interface": "sklearn"})
    assert (await labels.v2([matrix(X)]))["predict"]["data"] == model.predict(X).tolist()
    served.close(), labels.close()


async def test_early_stopping_counts_for_the_classifier_alone(tmp_path):
    model = xgb.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    model.fit(X[::2], Y[::2], eval_set=[(X[1::2], Y[1::2])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    served = Served(saved(tmp_path, model), "xgboost", options={"interface": "sklearn"})
    found = await served.v2([matrix(X)], ("predict_proba",))
    assert np.array_equal(np.array(found["predict_proba"]["data"], "f4"), model.predict_proba(X).ravel())
    whole = Served(tmp_path, "xgboost")
    expected = model.get_booster().predict(xgb.DMatrix(X))
    assert np.array_equal(
        np.array((await whole.v2([matrix(X)]))["predict"]["data"], "f4"), expected.ravel()
    )
    served.close(), whole.close()


@pytest.mark.parametrize("booster", ["gblinear", "dart"])
async def test_other_boosters(tmp_path, booster):
    model = xgb.XGBRegressor(n_estimators=4, n_jobs=1, booster=booster).fit(X, Y)
    served = Served(saved(tmp_path, model), "xgboost")
    expected = model.get_booster().predict(xgb.DMatrix(ROWS))
    assert np.allclose(await served.v1({"instances": ROWS.tolist()}), expected, rtol=1e-6)
    with pytest.raises(InvalidArgument, match="not an output"):
        await served.v2([matrix(ROWS)], ("predict_proba",))
    served.close()


async def test_columns_by_name_and_missing_values(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = xgb.XGBRegressor(**SMALL).fit(frame, Y)
    served = Served(saved(tmp_path, model), "xgboost")
    expected = model.predict(frame.iloc[[0]]).tolist()
    inputs = [column(name, "FP64", [float(X[0, at])]) for at, name in reversed(list(enumerate("abcd")))]
    assert (await served.v2(inputs))["predict"]["data"] == pytest.approx(expected)
    row = dict(zip("abcd", X[0].tolist(), strict=True))
    assert await served.v1({"instances": [row]}) == pytest.approx(expected)
    without = model.predict(frame.iloc[[0]].assign(c=np.nan)).tolist()
    assert await served.v1({"instances": [row | {"c": None}]}) == pytest.approx(without)
    with pytest.raises(InvalidArgument, match="'e' is no column of this model"):
        await served.v1({"instances": [row | {"e": 1}]})
    served.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"binf\0\0\0\0", "no JSON and no UBJ; XGBoost's old binary format"),
        (b"\x80\x04K\x01.", "it is a pickle"),
        (b"", "the file is empty"),
        (b"{}", "XGBoost can't load it"),
        (b'{"learner": 1', "XGBoost can't load it"),
    ],
)
def test_what_is_no_model(tmp_path, data, said):
    (tmp_path / "model.json").write_bytes(data)
    with pytest.raises(ConfigError, match=said):
        Served(tmp_path, "xgboost")
