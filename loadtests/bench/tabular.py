"""scikit-learn's iris and XGBoost's, as each server's own runtime for them loads them.

Tandem gets a skops file, KServe's and MLServer's servers the pickle of the same estimator; XGBoost's
file is the same for all. Threads: one for each prediction, as KServe's servers have it.
"""

from pathlib import Path
from typing import Any

from loadtests.servers import ROOT

FOLDER = ROOT / "build" / "tabular"
_BATCHING = {"maxBatchSize": 32}
MODELS: dict[str, dict[str, Any]] = {
    "iris": {"modelFormat": "sklearn", "storageUri": str(FOLDER / "iris"), "batching": _BATCHING},
    "xgboost": {"modelFormat": "xgboost", "storageUri": str(FOLDER / "xgboost"), "batching": _BATCHING},
}


def entries(names: list[str]) -> list[dict[str, Any]]:
    """Those of them that are asked for, as the Router's `models` has them; made where they aren't."""
    wanted = {name: MODELS[name] for name in names if name in MODELS}
    if wanted and not (FOLDER / "xgboost" / "model.ubj").is_file():
        _make()
    return [{"name": name, **about} for name, about in wanted.items()]


def _make() -> None:
    import joblib
    import skops.io
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from xgboost import XGBClassifier

    rows, labels = load_iris(return_X_y=True)
    for name in MODELS:
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    iris = LogisticRegression(max_iter=1000).fit(rows, labels)
    skops.io.dump(iris, FOLDER / "iris" / "model.skops")
    joblib.dump(iris, FOLDER / "iris" / "model.joblib")
    trees = XGBClassifier(n_estimators=100, max_depth=3, n_jobs=1).fit(rows, labels).get_booster()
    trees.set_attr(scikit_learn=None)  # a plain booster: probabilities on all three
    trees.save_model(FOLDER / "xgboost" / "model.ubj")


def file(model_format: str, folder: str | Path) -> Path:
    """What the peers' own runtimes load."""
    return Path(folder) / {"sklearn": "model.joblib", "xgboost": "model.ubj"}[model_format]
