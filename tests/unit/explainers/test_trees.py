"""SHAP of trees, against Shapley's own formula."""

import itertools
import math

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from serve_app.errors import ConfigError
from serve_app.explainers.trees import SklearnTrees

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 60, 120]]


def shapley(value, width: int) -> np.ndarray:
    """By the definition: over every order of the columns, what each adds when it comes."""
    found = np.zeros(width)
    for order in itertools.permutations(range(width)):
        known: tuple[int, ...] = ()
        for column in order:
            found[column] += value({*known, column}) - value(set(known))
            known = (*known, column)
    return found / math.factorial(width)


def expectation(tree, row: np.ndarray, known: set[int], node: int = 0) -> float:
    """What a tree answers where only some columns are known: the others go both ways, by how many of the
    training rows did."""
    left, right = tree.children_left[node], tree.children_right[node]
    if left < 0:
        return float(tree.value[node].ravel()[0])
    column = tree.feature[node]
    if column in known:
        went = left if np.float32(row[column]) <= tree.threshold[node] else right
        return expectation(tree, row, known, went)
    weights = tree.weighted_n_node_samples
    return sum(
        expectation(tree, row, known, side) * weights[side] / weights[node] for side in (left, right)
    )


def test_of_a_small_tree_as_by_every_order_of_its_columns():
    model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X[:, [0, 2, 3]], X[:, 1])
    parts = SklearnTrees(model).values(ROWS[:, [0, 2, 3]])
    for row, found in zip(ROWS[:, [0, 2, 3]], parts[:, 0], strict=True):
        expected = shapley(lambda known, row=row: expectation(model.tree_, row, known), 3)
        assert np.allclose(found[:-1], expected, atol=1e-6)
        assert found[-1] == pytest.approx(expectation(model.tree_, row, set()))


SMALL = {"n_estimators": 5, "random_state": 0}


@pytest.mark.parametrize(
    ("model", "of", "answer"),
    [
        (RandomForestClassifier(**SMALL).fit(X, Y), "probability", "predict_proba"),
        (RandomForestRegressor(**SMALL).fit(X, Y), "trees", "predict"),
        (GradientBoostingClassifier(**SMALL).fit(X, Y > 0), "log-odds", "decision_function"),
        (HistGradientBoostingClassifier(max_iter=3).fit(X, Y), "log-odds", "decision_function"),
    ],
    ids=lambda one: getattr(type(one), "__name__", one),
)
def test_the_parts_and_the_base_add_up_to_the_answer(model, of, answer):
    trees = SklearnTrees(model)
    expected = np.asarray(getattr(model, answer)(ROWS)).reshape(3, -1)
    found = trees.values(ROWS).sum(axis=2)
    assert np.allclose(found, expected, atol=1e-6)
    assert trees.of == of


def test_what_isnt_made_of_trees():
    with pytest.raises(ConfigError, match="LogisticRegression is no model of trees"):
        SklearnTrees(LogisticRegression().fit(X, Y > 0))
    with pytest.raises(ConfigError, match="binary"):  # the library's own limit
        SklearnTrees(GradientBoostingClassifier(**SMALL).fit(X, Y))
