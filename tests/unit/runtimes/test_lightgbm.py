"""LightGBM's models: what its booster answers, as KServe's and MLServer's servers do."""

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from serve_app.errors import ConfigError, InvalidArgument
from tests.unit.runtimes.tabular import Served, column, matrix

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]
SMALL = {"n_estimators": 4, "max_depth": 2, "n_jobs": 1, "verbose": -1}


def saved(folder, model, name="model.txt"):
    model.booster_.save_model(folder / name)
    return folder


@pytest.mark.parametrize("name", ["model.txt", "model.bst"])
async def test_what_the_booster_answers(tmp_path, name):
    model = lgb.LGBMClassifier(**SMALL).fit(X, Y)
    served = Served(saved(tmp_path, model, name), "lightgbm")
    expected = model.booster_.predict(ROWS)
    found = await served.v2([matrix(ROWS)])
    assert found["predict"] == {"datatype": "FP64", "shape": [3, 3], "data": expected.ravel().tolist()}
    assert await served.v1({"instances": ROWS.tolist()}) == expected.tolist()
    answer = await served.grpc("x", ROWS.astype("f4"))
    assert np.allclose(answer.outputs[0].contents.fp64_contents, model.booster_.predict(ROWS).ravel())
    served.close()


async def test_columns_by_name(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = lgb.LGBMRegressor(**SMALL).fit(frame, Y)
    served = Served(saved(tmp_path, model), "lightgbm")
    row = dict(zip("dcba", X[0, ::-1].tolist(), strict=True))
    assert await served.v1({"instances": [row]}) == model.predict(frame.iloc[[0]]).tolist()
    with pytest.raises(InvalidArgument, match="columns are missing: b"):
        await served.v1({"instances": [{"a": 1, "c": 2, "d": 3}]})
    served.close()


async def test_categories_are_texts(tmp_path):
    frame = pd.DataFrame({
        "size": np.tile([1.0, 2, 3, 4], 40), "city": pd.Categorical(np.repeat(["Rome", "Oslo"], 80)),
    })  # fmt: skip
    model = lgb.LGBMRegressor(**SMALL).fit(frame, np.repeat([1.0, 5.0], 80) + frame["size"])
    served = Served(saved(tmp_path, model), "lightgbm")
    assert [one["datatype"] for one in served.about()["inputs"]] == ["FP64", "BYTES"]
    expected = model.predict(frame.iloc[[0, 159]]).tolist()
    assert expected[0] != expected[1]
    inputs = [column("city", "BYTES", ["Rome", "Oslo"]), column("size", "FP64", [1.0, 4.0])]
    assert (await served.v2(inputs))["predict"]["data"] == expected
    served.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"nonsense", "isn't what Booster.save_model writes"), (b"\x80\x04K\x01.", "it is a pickle"),
     (b"tree\nversion=v4\n", "LightGBM can't load it")],
)  # fmt: skip
def test_what_is_no_model(tmp_path, data, said):
    (tmp_path / "model.txt").write_bytes(data)
    with pytest.raises(ConfigError, match=said):
        Served(tmp_path, "lightgbm")
