"""scikit-learn's models: what the estimator itself answers is what is right."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from serve_app.errors import ConfigError, InvalidArgument
from tests.unit.runtimes.tabular import Served, column, matrix, skops_model

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    served = Served(skops_model(tmp_path_factory.mktemp("iris"), model), "sklearn")
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


@pytest.mark.parametrize("asked", ["predict\n" * 1000 + "predict", "decision_function", "none"])
async def test_no_parameter_asks_for_outputs(iris, asked):
    found = await iris[0].v2([matrix(ROWS)], parameters={"_outputs": asked})
    assert list(found) == ["predict"]


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


async def test_the_name_of_kserves_own_server(tmp_path):
    folder = skops_model(tmp_path, LogisticRegression(max_iter=1000).fit(X, Y))
    served = Served(folder, "sklearn", options={"outputName": "output-0"})
    assert served.about()["outputs"][0] == {"name": "output-0", "datatype": "INT64", "shape": [-1]}
    assert list(await served.v2([matrix(ROWS)])) == ["output-0"]
    both = await served.v2([matrix(ROWS)], ("output-0", "predict_proba"))
    assert list(both) == ["output-0", "predict_proba"]


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
    labels = {spec.name: spec.labels for spec in served.signature.outputs}
    assert labels == {"predict": None, "decision_function": ["setosa", "versicolor", "virginicä"]}
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


async def test_no_rows_at_all(iris):
    with pytest.raises(InvalidArgument, match="minimum of 1 is required"):
        await iris[0].v1({"instances": []})


async def test_requests_together_are_answered_as_alone(tmp_path):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    served = Served(skops_model(tmp_path, model), "sklearn", batching={"maxBatchSize": 8})
    assert (await served.v2([matrix(X)]))["predict"]["data"] == model.predict(X).tolist()
    served.close()
