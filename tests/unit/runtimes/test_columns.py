"""Named columns, of one type or several, as data frames are sent."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serve_app.core import tables
from serve_app.errors import ConfigError, InvalidArgument
from tests.unit.runtimes.tabular import Served, column, matrix, skops_model

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]
HOUSES = pd.DataFrame(
    {"area": [50.0, 80, 120, 65], "city": ["Rome", "Oslo", "Rome", "Bern"], "rooms": [2, 3, 5, 2]}
)

OSLO, BERN = (
    {"area": 80.0, "city": "Oslo", "rooms": 3},
    {"area": 60.0, "city": "Bern", "rooms": 2},
)


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """A pipeline over columns of two types, which it picks by their names."""
    encoded = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["city"]), (StandardScaler(), ["area", "rooms"])
    )
    model = make_pipeline(encoded, LinearRegression()).fit(HOUSES, [100, 300, 260, 150])
    served = Served(skops_model(tmp_path_factory.mktemp("prices"), model), "sklearn")
    yield served, model
    served.close()


@pytest.mark.parametrize("deep", [False, True])
async def test_columns_of_several_types_over_v2(prices, deep):
    served, model = prices
    inputs = [
        column("rooms", "INT64", [3, 2], deep),  # in any order
        column("city", "BYTES", ["Oslo", "Bern"], deep),
        column("area", "FP64", [80.0, 60.0], deep),
    ]
    frame = pd.DataFrame({"area": [80.0, 60.0], "city": ["Oslo", "Bern"], "rooms": [3, 2]})
    found = await served.v2(inputs, parameters={"content_type": "pd"})
    assert found["predict"]["data"] == model.predict(frame).tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [OSLO, BERN]},
        {"instances": [{"area": [80.0], "city": ["Oslo"], "rooms": [3]},
                       {"area": [60.0], "city": ["Bern"], "rooms": [2]}]},
        {"instances": [{"area": [80.0, 60.0], "city": ["Oslo", "Bern"], "rooms": [3, 2]}]},
        {"instances": [[OSLO], [BERN]]},
        {"instances": [[80.0, "Oslo", 3], [60.0, "Bern", 2]]},
        {"inputs": {"area": [80.0, 60.0], "city": ["Oslo", "Bern"], "rooms": [3, 2]}},
    ],
)  # fmt: skip
async def test_columns_of_several_types_over_v1(prices, body):
    served, model = prices
    frame = pd.DataFrame({"area": [80.0, 60.0], "city": ["Oslo", "Bern"], "rooms": [3, 2]})
    assert await served.v1(body) == model.predict(frame).tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"city": None}, "columns are missing: city"),
        (
            {"citty": column("citty", "BYTES", ["Oslo"])},
            "'citty' is no column of this model; did you mean city",
        ),
        (
            {"city": column("city", "FP64", [1.0])},
            r"column 'city': expected texts \(BYTES\), got numbers",
        ),
        ({"area": column("area", "BYTES", ["x"])}, "column 'area': expected numbers, got BYTES"),
        ({"area": column("area", "FP64", [1.0, 2.0])}, "'city' has 1 rows, tensor 'area' has 2"),
        ({"area": matrix([[1.0, 2.0]], "area")}, r"'area': a column is of shape \[-1\] or \[-1, 1\]"),
        ({"city": column("city", "BYTES", ["Paris"])}, "unknown categories"),
    ],
)
async def test_errors_name_the_column(prices, change, said):
    given = {"area": column("area", "FP64", [80.0]), "city": column("city", "BYTES", ["Oslo"]),
             "rooms": column("rooms", "INT32", [3])}  # fmt: skip
    inputs = [one for one in (given | change).values() if one]
    with pytest.raises(InvalidArgument, match=said):
        await prices[0].v2(inputs)


def test_metadata_of_columns(prices):
    assert prices[0].about()["inputs"] == [
        {"name": "area", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "rooms", "datatype": "FP64", "shape": [-1, 1]},
    ]


async def test_numbers_with_names_take_a_matrix_and_columns(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = RandomForestClassifier(5, n_jobs=2, random_state=0).fit(frame, Y)
    folder, tree = skops_model(tmp_path, model), "sklearn.tree._tree.Tree"
    with pytest.raises(ConfigError, match=f"doesn't trust: {tree}"):
        Served(folder, "sklearn")
    served = Served(folder, "sklearn", options={"trustedTypes": [tree]})
    assert served.about()["properties"] == {"columns": "a, b, c, d"}
    expected = model.predict(frame.iloc[[0, 60, 120]]).tolist()
    assert (await served.v2([matrix(ROWS)]))["predict"]["data"] == expected
    shuffled = [column("dcba"[at], "FP64", ROWS[:, 3 - at].tolist()) for at in range(4)]
    assert (await served.v2(shuffled))["predict"]["data"] == expected
    with pytest.raises(InvalidArgument, match="columns are missing: c"):
        await served.v1({"instances": [{"a": 1, "b": 2, "d": 3}]})
    with pytest.raises(InvalidArgument, match="no column of the model"):
        await served.v2([column("aa", "FP64", [1.0])])
    served.close()


async def test_missing_numbers_are_null_over_v1(tmp_path):
    rows = np.where(X > 5, np.nan, X)
    model = HistGradientBoostingClassifier(max_iter=3).fit(rows, Y)
    trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
    served = Served(skops_model(tmp_path, model), "sklearn", options={"trustedTypes": trusted})
    asked = [[None if np.isnan(one) else one for one in row] for row in rows[[0, 60, 120]].tolist()]
    assert await served.v1({"instances": asked}) == model.predict(rows[[0, 60, 120]]).tolist()
    served.close()


@pytest.mark.parametrize("names", [["a\nb"], ["a", "a\nb", "\n"], ['"', "é"], []])
def test_outputs_are_asked_for_by_their_whole_names(names):
    assert tables.asked(tables.asking_for(names, {"k": 1})) == names
    assert tables.asked({"k": 1}) == []
