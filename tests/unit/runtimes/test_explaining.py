"""Explainers with the models' real frameworks: what a replica of one loads and answers."""

import asyncio
import threading

import lightgbm as lgb
import numpy as np
import pytest
import skops.io
import torch
import xgboost as xgb
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from serve_app.errors import ConfigError, InvalidArgument
from serve_app.explainers.asking import reach
from tests.unit.explainers.asked import Model

FRAME = load_iris(as_frame=True)
X, Y = FRAME.data.to_numpy(), FRAME.target.to_numpy()
ROWS = X[[0, 60, 120]]
NAMES = [name.encode() for name in FRAME.data.columns]


def shap(folder, model_format, **more):
    if (file := folder / "model.skops").exists():
        more["options"] = {"trustedTypes": skops.io.get_untrusted_types(file=file)}
    return {
        "modelFormat": model_format,
        "storageUri": str(folder),
        "explainer": {"method": "shap"},
        **more,
    }


async def test_shap_of_scikit_learn(load, tmp_path):
    model = RandomForestClassifier(5, random_state=0).fit(FRAME.data, Y.astype(str))
    skops.io.dump(model, tmp_path / "model.skops")
    why = load(**shap(tmp_path, "sklearn"))
    found = await why(ROWS)
    odds = model.predict_proba(FRAME.data.iloc[[0, 60, 120]])
    assert np.allclose(found["prediction"], odds.max(axis=1))
    assert np.allclose(found["attributions"].sum(axis=1) + found["base_value"], found["prediction"])
    assert found["label"].tolist() == [str(at).encode() for at in odds.argmax(axis=1)]
    assert found["features"].tolist() == [NAMES] * 3
    assert found["output"].tolist() == [b"probability"] * 3
    assert why.signature.properties == {"explains": "iris", "method": "shap"}
    assert [spec.name for spec in why.signature.inputs] == ["input-0"]
    assert {spec.name for spec in why.signature.outputs} == found.keys()
    assert (await why(ROWS, **{"class": "2"}))["class"].tolist() == [2, 2, 2]


async def test_shap_of_a_pipeline_is_of_its_last_step(load, tmp_path):
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["petal length (cm)"]), remainder="drop"),
        DecisionTreeClassifier(random_state=0),
    ).fit(FRAME.data, Y)
    skops.io.dump(model, tmp_path / "model.skops")
    why = load(**shap(tmp_path, "sklearn"))
    frame = {name: FRAME.data[name].to_numpy()[:2] for name in FRAME.data}
    found = await why(frame)
    assert found["features"].tolist() == [[b"standardscaler__petal length (cm)"]] * 2
    assert np.allclose(found["attributions"].sum(axis=1) + found["base_value"], found["prediction"])


async def test_two_classes_of_what_is_boosted_name_the_second(load, tmp_path):
    labels = np.where(Y > 0, "no", "yes")
    model = GradientBoostingClassifier(n_estimators=4, random_state=0).fit(X, labels)
    skops.io.dump(model, tmp_path / "model.skops")
    found = await load(**shap(tmp_path, "sklearn"))(ROWS)
    assert found["label"].tolist() == [b"yes"] * 3
    assert found["class"].tolist() == [1] * 3
    assert found["output"].tolist() == [b"log-odds"] * 3
    assert np.allclose(found["prediction"], model.decision_function(ROWS))


@pytest.mark.parametrize("classes", [2, 3])
async def test_shap_of_xgboost(load, tmp_path, classes):
    target = Y if classes == 3 else (Y > 0).astype(int)
    model = xgb.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1).fit(FRAME.data, target)
    model.save_model(tmp_path / "model.ubj")
    found = await load(**shap(tmp_path, "xgboost"))(ROWS)
    margins = model.predict(FRAME.data.iloc[[0, 60, 120]], output_margin=True).reshape(3, -1)
    assert np.allclose(found["prediction"], margins.max(axis=1), atol=1e-5)
    total = found["attributions"].sum(axis=1) + found["base_value"]
    assert np.allclose(total, found["prediction"], atol=1e-5)
    assert found["features"].tolist() == [NAMES] * 3
    assert found["class"].tolist() == (margins.argmax(axis=1).tolist() if classes == 3 else [1] * 3)


@pytest.mark.parametrize("classes", [2, 3])
async def test_shap_of_lightgbm(load, tmp_path, classes):
    target = Y if classes == 3 else (Y > 0).astype(int)
    model = lgb.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(X, target)
    model.booster_.save_model(tmp_path / "model.txt")
    found = await load(**shap(tmp_path, "lightgbm"))(ROWS)
    margins = model.predict(ROWS, raw_score=True).reshape(3, -1)
    assert np.allclose(found["prediction"], margins.max(axis=1))
    assert np.allclose(found["attributions"].sum(axis=1) + found["base_value"], found["prediction"])


def test_what_isnt_made_of_trees(load, tmp_path):
    skops.io.dump(LogisticRegression(max_iter=1000).fit(X, Y), tmp_path / "model.skops")
    with pytest.raises(ConfigError, match="version 1: LogisticRegression is no model of trees"):
        load(**shap(tmp_path, "sklearn"))
    booster = xgb.train({"booster": "gblinear", "nthread": 1}, xgb.DMatrix(X, Y), 2)
    (tmp_path / "linear").mkdir()
    booster.save_model(tmp_path / "linear" / "model.ubj")
    with pytest.raises(ConfigError, match="gblinear has no trees"):
        load(**shap(tmp_path / "linear", "xgboost"))


async def test_integrated_gradients_of_an_exported_program(load, tmp_path):
    layer = torch.nn.Linear(3, 2)
    program = torch.export.export(
        layer, (torch.zeros(2, 3),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    why = load(
        modelFormat="torch",
        storageUri=str(tmp_path),
        inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 2], "labels": ["a", "b"]}],
        explainer={"method": "integratedGradients", "baseline": 1.0},
    )
    rows = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 9.0]], np.float32)
    found = await why(rows, "x", **{"class": "b"})
    weights = layer.weight[1].detach().numpy()
    assert np.allclose(found["attributions"], weights * (rows - 1), atol=1e-5)
    assert found["label"].tolist() == [b"b", b"b"]
    assert found["output"].tolist() == [b"y", b"y"]
    assert {spec.name for spec in why.signature.outputs} == found.keys()


async def test_integrated_gradients_of_several_inputs(load, tmp_path):
    class Sum(torch.nn.Module):
        def forward(self, a, b):
            return 2 * a + 3 * b

    rows, size = (torch.zeros(2, 1), torch.ones(2, 1)), {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Sum(), rows, dynamic_shapes=(size, size))
    torch.export.save(program, tmp_path / "model.pt2")
    tensor = {"datatype": "FP32", "shape": [-1, 1]}
    why = load(
        modelFormat="torch",
        storageUri=str(tmp_path),
        inputs=[{"name": "a", **tensor}, {"name": "b", **tensor}],
        outputs=[{"name": "y", **tensor}],
        explainer={"method": "integratedGradients"},
    )
    one = np.ones((2, 1), np.float32)
    found = await why({"a": one, "b": one})
    assert np.allclose(found["attributions.a"], 2)
    assert np.allclose(found["attributions.b"], 3)
    assert {spec.name for spec in why.signature.outputs} - found.keys() == {"class", "label"}


async def test_lime_asks_the_model(load, tmp_path):
    np.save(tmp_path / "background.npy", X)
    model = Model(lambda inputs: inputs["input-0"][:, 2], columns=list(FRAME.data.columns))
    reach(model)
    why = load(
        storageUri=str(tmp_path),
        explainer={"method": "lime", "kind": "tabular", "samples": 100, "batchSize": 25},
    )
    found = await why(ROWS[:1], _version="4", seed=1, samples=60)
    assert model.versions == {"4"}
    assert model.batches == [1, 25, 25, 10]
    assert np.abs(found["attributions"]).argmax() == 2
    again = await why(ROWS[:1], _version="4", seed=1, samples=60)
    assert found["attributions"].tobytes() == again["attributions"].tobytes()
    assert why.signature.inputs == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"clas": 1}, "parameters.clas: unknown; did you mean class"),
        ({"seed": -1}, "parameters.seed: expected a whole number from 0"),
        ({"seed": 1.5}, "parameters.seed: expected a whole number"),
        ({"samples": 1}, "parameters.samples: expected a whole number from 10 to 100000, got 1"),
        ({"features": True}, "parameters.features"),
        ({"output": 3}, "parameters.output: expected text, got 3"),
        ({"output": "score"}, "parameters.output: no output 'score'; did you mean scores"),
        ({"class": "x"}, 'parameters.class: expected a number below 1, got "x"'),
    ],
)
async def test_parameters_that_arent_right(load, tmp_path, parameters, message):
    np.save(tmp_path / "background.npy", X)
    reach(Model(lambda inputs: inputs["x"][:, 2]))
    why = load(storageUri=str(tmp_path), explainer={"method": "lime", "kind": "tabular", "samples": 20})
    with pytest.raises(InvalidArgument) as raised:
        await why(ROWS, "x", **parameters)
    assert message in str(raised.value)


async def test_no_rows(load, tmp_path):
    np.save(tmp_path / "background.npy", X)
    why = load(storageUri=str(tmp_path), explainer={"method": "lime", "kind": "tabular"})
    for rows in ({}, {"x": np.zeros((0, 4))}, {"x": np.array(1.0)}):
        with pytest.raises(InvalidArgument, match="rows to explain"):
            await why(rows)


async def test_an_explanation_that_nobody_waits_for_ends(load, tmp_path):
    """Not after its time: with the batch that is under way."""
    np.save(tmp_path / "background.npy", X)
    asked, go_on = threading.Event(), threading.Event()

    def held(inputs):
        if len(model.batches) == 3:
            asked.set()
            assert go_on.wait(30)
        return inputs["x"][:, 2]

    model = Model(held)
    reach(model)
    why = load(
        storageUri=str(tmp_path),
        explainer={"method": "lime", "kind": "tabular", "samples": 5000, "batchSize": 10},
    )
    task = asyncio.create_task(why(ROWS, "x"))
    assert await asyncio.to_thread(asked.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.to_thread(why.host.close)  # it waits until nothing runs
    assert len(model.batches) == 3
