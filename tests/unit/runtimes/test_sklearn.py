"""scikit-learn's models: what the estimator itself answers is what is right."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_info

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
def iris(tmp_path_factory):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    served = Served(skops_model(tmp_path_factory.mktemp("iris"), model), "sklearn")
    yield served, model
    served.close()


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


async def test_v1_answers_labels_as_integers(iris):
    served, model = iris
    found = await served.v1({"instances": ROWS.tolist()})
    assert found == model.predict(ROWS).tolist() == [0, 1, 2]
    assert await served.v1({"inputs": ROWS.tolist()}) == found
    assert await served.v1({"instances": [[5, 3, 1, 0]]}) == [0]  # integers alone


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("name", ["input-0", "predict", "anything"])
async def test_v2_takes_one_tensor_whatever_its_name_and_type(iris, name, datatype):
    served, _ = iris
    found = await served.v2([matrix(ROWS, name, datatype)])
    assert found == {"predict": {"datatype": "INT64", "shape": [3], "data": [0, 1, 2]}}


async def test_outputs_are_computed_when_they_are_asked_for(iris):
    served, model = iris
    found = await served.v2([matrix(ROWS)], ("predict_proba", "predict"))
    assert list(found) == ["predict_proba", "predict"]
    assert found["predict_proba"]["datatype"] == "FP64"
    assert found["predict_proba"]["shape"] == [3, 3]
    assert found["predict_proba"]["data"] == model.predict_proba(ROWS).ravel().tolist()
    margins = await served.v2([matrix(ROWS)], ("decision_function",))
    assert margins["decision_function"]["data"] == model.decision_function(ROWS).ravel().tolist()
    with pytest.raises(InvalidArgument, match="'transform' is not an output"):
        await served.v2([matrix(ROWS)], ("transform",))


async def test_grpc_answers_the_same(iris):
    served, model = iris
    answer = await served.grpc("x", ROWS.astype(np.float32), "predict", "predict_proba")
    assert list(answer.outputs[0].contents.int64_contents) == [0, 1, 2]
    odds = model.predict_proba(ROWS.astype(np.float32))
    assert np.allclose(answer.outputs[1].contents.fp64_contents, odds.ravel(), rtol=1e-6)


def test_metadata_is_read_off_the_model(iris):
    about = iris[0].about()
    assert about["platform"] == "sklearn"
    assert about["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}]
    assert about["outputs"][:2] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
    ]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([matrix(ROWS[:, :3])], r"'input-0': expected shape \[-1, 4\].*got \[3, 3\]"),
        ([matrix(ROWS[0])], r"expected shape \[-1, 4\].*got \[4\]"),
        ([column("a", "BYTES", ["x"]), column("b", "FP64", [1.0])], "expected 4 columns, got 2"),
        ([column("t", "BYTES", list("abcd")) | {"shape": [1, 4]}], "expected numbers"),
        ([matrix(ROWS), matrix(ROWS)], "'input-0' is given twice"),
        ([], "there is none"),
        ([matrix([[float("nan")] * 4])], "Input X contains NaN"),
    ],
)  # fmt: skip
async def test_what_it_does_not_take(iris, inputs, said):
    with pytest.raises(InvalidArgument, match=said):
        await iris[0].v2(inputs)


async def test_columns_without_names_count_by_their_order(iris):
    served, model = iris
    inputs = [column(f"any {at}", "FP64", ROWS[:, at].tolist()) for at in range(4)]
    assert (await served.v2(inputs))["predict"]["data"] == model.predict(ROWS).tolist()


async def test_an_output_by_default_and_a_name_of_its_own(tmp_path):
    folder = skops_model(tmp_path, LogisticRegression(max_iter=1000).fit(X, Y))
    named = [{"name": "output-0", "datatype": "FP64", "shape": [-1, 3]}]
    served = Served(folder, "sklearn", options={"output": "predict_proba"}, outputs=named)
    found = await served.v2([matrix(ROWS)])
    assert (list(found), found["output-0"]["shape"]) == (["output-0"], [3, 3])
    assert len(await served.v1({"instances": ROWS.tolist()})) == 3
    assert list(await served.v2([matrix(ROWS)], ("output-0",))) == ["output-0"]
    served.close()
    with pytest.raises(ConfigError, match=r"'output-0' is FP64 \[-1, 3\], declared INT64 \[-1\]"):
        Served(folder, "sklearn", options={"output": "predict_proba"},
               outputs=[{"name": "output-0", "datatype": "INT64", "shape": [-1]}])  # fmt: skip


async def test_labels_that_are_texts(tmp_path):
    names = np.array(["setosa", "versicolor", "virginicä"])[Y]
    served = Served(skops_model(tmp_path, SVC().fit(X, names)), "sklearn")
    found = await served.v2([matrix(ROWS)])
    assert found["predict"] == {
        "datatype": "BYTES",
        "shape": [3],
        "data": ["setosa", "versicolor", "virginicä"],
    }
    assert await served.v1({"instances": ROWS.tolist()}) == ["setosa", "versicolor", "virginicä"]
    with pytest.raises(InvalidArgument, match="'predict_proba' is not an output"):
        await served.v2([matrix(ROWS)], ("predict_proba",))
    served.close()


async def test_what_only_transforms_and_what_clusters(tmp_path):
    scaler = StandardScaler().fit(X)
    served = Served(skops_model(tmp_path / "a", scaler), "sklearn")
    found = await served.v2([matrix(ROWS)])
    assert np.allclose(found["transform"]["data"], scaler.transform(ROWS).ravel())
    served.close()
    clusters = KMeans(2, n_init=1, random_state=0).fit(X)
    served = Served(skops_model(tmp_path / "b", clusters), "sklearn")
    assert (await served.v2([matrix(ROWS)]))["predict"]["datatype"] == "INT32"
    assert (await served.v2([matrix(ROWS)], ("transform",)))["transform"]["shape"] == [3, 2]
    served.close()


async def test_texts_as_rows(tmp_path):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0])
    served = Served(skops_model(tmp_path, model), "sklearn")
    assert served.about()["inputs"] == [{"name": "input-0", "datatype": "BYTES", "shape": [-1]}]
    assert await served.v1({"instances": ["good", "bad"]}) == [1, 0]
    assert (await served.v2([column("t", "BYTES", ["bad"])]))["predict"]["data"] == [0]
    assert (await served.v2([column("t", "BYTES", ["bad"], True)]))["predict"]["data"] == [0]
    with pytest.raises(InvalidArgument, match="expected datatype BYTES, got FP64"):
        await served.v2([matrix([1.0])])
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


async def test_no_rows_at_all(iris, prices):
    with pytest.raises(InvalidArgument, match="minimum of 1 is required"):
        await iris[0].v1({"instances": []})


async def test_requests_together_are_answered_as_alone(tmp_path):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    served = Served(skops_model(tmp_path, model), "sklearn", batching={"maxBatchSize": 8})
    assert (await served.v2([matrix(X)]))["predict"]["data"] == model.predict(X).tolist()
    served.close()


def test_a_prediction_has_one_thread(tmp_path):
    model = RandomForestClassifier(5, n_jobs=8).fit(X, Y)
    joblib.dump(make_pipeline(FunctionTransformer(_threads), model), tmp_path / "model.joblib")
    served = Served(tmp_path, "sklearn", trusted=True)
    assert SEEN
    assert {pool["num_threads"] for pool in SEEN[-1]} == {1}
    served.close()


SEEN: list = []


def _threads(rows):
    SEEN.append(threadpool_info())
    return rows


def test_types_that_skops_does_not_trust_are_named(tmp_path):
    folder = skops_model(
        tmp_path,
        make_pipeline(FunctionTransformer(_threads), LogisticRegression(max_iter=1000)).fit(X, Y),
    )
    name = f"{_threads.__module__}._threads"
    with pytest.raises(ConfigError, match=f"doesn't trust: {name}; .*trustedTypes: .{name}."):
        Served(folder, "sklearn")
    Served(folder, "sklearn", options={"trustedTypes": [name]}).close()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "mine.pickle"])
def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path, name):
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, Y), tmp_path / name)
    with pytest.raises(ConfigError, match=f"is a pickle.*`tandem convert .*{name}`.*`trusted: true`"):
        Served(tmp_path, "sklearn")
    Served(tmp_path, "sklearn", trusted=True).close()


def test_what_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match=r"expected exactly one of model\.skops"):
        Served(tmp_path, "sklearn")
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"model\.onnx is served with modelFormat onnx"):
        Served(tmp_path, "sklearn")
    (tmp_path / "model.skops").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(ConfigError, match="it is a pickle"):
        Served(tmp_path, "sklearn")
