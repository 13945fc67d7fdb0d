"""What a model becomes, and that it answers as before; in this process, which made the models."""

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from serve_app.errors import ConfigError
from serve_app.tools.convert import forms
from serve_app.tools.convert.pickles import compare

X, Y = load_iris(return_X_y=True)
HOUSES = pd.DataFrame({"area": [50.0, 80, 120, 65], "city": ["Rome", "Oslo", "Rome", "Bern"]})


def mixed():
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["area"]))
    return make_pipeline(columns, LogisticRegression()).fit(HOUSES, ["cheap", "dear", "dear", "cheap"])


MODELS = {
    "logistic": lambda: LogisticRegression(max_iter=1000).fit(X, Y),
    "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, Y),
    "mixed": mixed,
    "texts": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0]),
    "scaler": lambda: StandardScaler().fit(X),
    "xgb": lambda: xgb.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y),
    "booster": lambda: xgb.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, Y).get_booster(),
    "lgb": lambda: lgb.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(X, Y),
    "lgb booster": lambda: lgb.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(X, Y).booster_,
}


@pytest.mark.parametrize(
    ("name", "to", "file", "model_format", "options"),
    [
        ("logistic", "", "model.skops", "sklearn", {}),
        ("tree", "skops", "model.skops", "sklearn", {"trustedTypes": ["sklearn.tree._tree.Tree"]}),
        ("mixed", "", "model.skops", "sklearn", {}),
        ("texts", "", "model.skops", "sklearn", {}),
        ("scaler", "", "model.skops", "sklearn", {}),
        ("logistic", "onnx", "model.onnx", "onnx", {}),
        ("tree", "onnx", "model.onnx", "onnx", {}),
        ("mixed", "onnx", "model.onnx", "onnx", {}),
        ("scaler", "onnx", "model.onnx", "onnx", {}),
        ("xgb", "", "model.ubj", "xgboost", {"interface": "sklearn"}),
        ("booster", "", "model.ubj", "xgboost", {}),
        ("lgb", "", "model.txt", "lightgbm", {}),
        ("lgb booster", "", "model.txt", "lightgbm", {}),
    ],
)
def test_forms_and_their_answers(tmp_path, name, to, file, model_format, options):
    made = forms.made(MODELS[name](), to, tmp_path)
    assert (made.file, made.model_format, made.options) == (file, model_format, options)
    rows = forms.rows(made.runtime, None)
    forms.write(tmp_path / "rows.npz", rows)
    before = forms.answers(made.runtime, rows)
    after = forms.answers(
        forms.served(tmp_path / file, model_format, options),
        forms.read(tmp_path / "rows.npz"),
        made.runtime.default,
    )
    names, wrong = compare(before, after, model_format)
    assert (wrong, bool(names)) == ([], True)


def test_rows_of_the_user_s_own(tmp_path):
    made = forms.made(mixed(), "", tmp_path)
    rows = forms.rows(made.runtime, [{"city": "Oslo", "area": 80}, {"city": "Bern", "area": 3}])
    assert {name: array.tolist() for name, array in rows.items()} == {
        "area": [80, 3], "city": [b"Oslo", b"Bern"],
    }  # fmt: skip
    invented = forms.rows(made.runtime, None)
    assert set(invented["city"]) == {b"Rome", b"Oslo", b"Bern"}


@pytest.mark.parametrize(
    ("model", "to", "said"),
    [({"a": 1}, "", "it is a builtins.dict, which has neither predict nor transform"),
     (MODELS["booster"], "onnx", "leave out --to onnx")],
)  # fmt: skip
def test_what_cannot_be_converted(tmp_path, model, to, said):
    with pytest.raises(ConfigError, match=said):
        forms.made(model() if callable(model) else model, to, tmp_path)


def test_answers_that_differ_are_told():
    one = {"predict": np.array([0, 1, 2]), "predict_proba": np.array([[0.1, 0.9]])}
    assert compare(one, one, "sklearn") == ("predict, predict_proba", [])
    other = {"predict": np.array([0, 1, 1]), "predict_proba": np.array([[0.1, 0.9 + 1e-7]])}
    _, wrong = compare(one, other, "onnx")
    assert len(wrong) == 1
    assert wrong[0].startswith("predict: the new file answers otherwise than the pickle: by 1")
    assert len(compare(one, other, "sklearn")[1]) == 2
    _, wrong = compare(one, {"predict": np.array([b"0", b"1", b"2"], dtype=object)}, "sklearn")
    assert "otherwise" in wrong[0]
    assert compare(one, {"x": one["predict"]}, "sklearn")[1] == [
        "no output in common: predict, predict_proba; x"
    ]
    assert "their shapes" in compare(one, {"predict": np.array([0])}, "sklearn")[1][0]
    nan = {"predict": np.array([np.nan])}
    assert compare(nan, nan, "sklearn")[1] == []


def test_no_pickle_is_read_of_what_comes_back(tmp_path):
    np.savez(tmp_path / "x.npz", names=np.array(["a"]), array_0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        forms.read(tmp_path / "x.npz")
