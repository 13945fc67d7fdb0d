"""What of scikit-learn's files is loaded, and with how many threads it runs."""

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_info

from serve_app.errors import ConfigError
from tests.unit.runtimes.tabular import Served, skops_model

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]


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
