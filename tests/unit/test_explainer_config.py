"""What an explainer's application may be told."""

import pytest

from serve_app.config import RemoteModel, named, parse
from serve_app.errors import ConfigError

LIME = {"explains": "iris", "explainer": {"method": "lime", "kind": "text"}}
SHAP = {
    "explains": "iris",
    "modelFormat": "xgboost",
    "storageUri": "/m",
    "explainer": {"method": "shap"},
}


def lime(**more):
    return {**LIME, "explainer": {**LIME["explainer"], **more}}


def shap(**more):
    return {**SHAP, "explainer": {**SHAP["explainer"], **more}}


def torch(**more):
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1]}
    return {
        "explains": "iris", "modelFormat": "torch", "storageUri": "/m",
        "inputs": [tensor | more], "outputs": [tensor],
        "explainer": {"method": "integratedGradients"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "args",
    [
        LIME,
        lime(samples=100, features=3, batchSize=8, seed=2**32 - 1, output="y"),
        lime(kind="image", regions=10, hideColor=0),
        {**lime(kind="tabular", discretize=False), "storageUri": "s3://a/b"},
        SHAP,
        torch(),
        {"explains": "iris", "modelFormat": "python", "class": "a:B", "options": {"any": 1}},
        {
            **LIME,
            "autoscaling": {"minReplicas": 0, "maxReplicas": 2, "scaleTarget": 1},
            "concurrency": 2,
        },
    ],
)
def test_what_fits(args):
    found = parse(RemoteModel, args)
    assert found.explains == "iris"
    assert found.loads_nothing == (args.get("explainer") or {}).get("method", "").startswith("lime")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({**LIME, "explain": "iris"}, "explain: unknown key; did you mean explains"),
        (lime(sampels=3), "explainer.sampels: unknown key; did you mean samples"),
        (lime(method="limee"), "'limee'.*did you mean lime"),
        (lime(kind="txt"), "explainer.kind: .*did you mean text"),
        (lime(kind=None), "method lime needs kind: tabular, text or image"),
        (lime(kind="tabular"), "storageUri: lime of kind tabular needs storageUri"),
        ({**LIME, "storageUri": "/m"}, "storageUri: lime of kind text reads no files"),
        (lime(discretize=True), "discretize belongs to kind tabular, not text"),
        (lime(kind="tabular", hideColor=1), "hideColor belongs to kind image, not tabular"),
        (lime(steps=5), "steps belongs to method integratedGradients, not lime"),
        (lime(samples=1), "explainer.samples: .*10"),
        (lime(seed=-1), "explainer.seed"),
        ({**LIME, "modelFormat": "sklearn", "storageUri": "/m"}, "lime asks the model itself"),
        ({**LIME, "class": "a:B"}, "lime asks the model itself"),
        ({**LIME, "batching": {"maxBatchSize": 4}}, "one request at a time: no batching"),
        ({"explainer": LIME["explainer"]}, "`explainer` needs `explains`"),
        ({**SHAP, "explainer": None}, "modelFormat xgboost explains nothing by itself"),
        (shap(kind="text"), "kind belongs to method lime, not shap"),
        (
            {**torch(), "explainer": {"method": "shap"}},
            "method shap reads modelFormat sklearn, xgboost, lightgbm, not torch",
        ),
        (shap(method="integratedGradients"), "reads modelFormat torch, not xgboost"),
        ({"explains": "iris", "explainer": {"method": "shap"}}, "modelFormat: required"),
        (torch(datatype="INT64"), r"inputs\[0\].datatype: .* gradients \(FP32, …\), not INT64"),
        ({**LIME, "explains": "a/b"}, "must start with a letter"),
    ],
)
def test_what_doesnt(args, message):
    with pytest.raises(ConfigError, match=message):
        parse(RemoteModel, args)


def test_an_explainer_of_itself():
    with pytest.raises(ConfigError, match="explains 'iris': that is the explainer's own name"):
        named(parse(RemoteModel, LIME), "iris")
    assert named(parse(RemoteModel, LIME), "why").name == "why"
