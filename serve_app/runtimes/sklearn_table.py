"""What columns an estimator of scikit-learn takes, read off what it was fitted on.

It keeps their names and how many there are. Which of them are texts only the encoders inside know.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from serve_app.protocol.tables import Column, Kind, Table

_OF_TEXTS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")


def table(estimator: Any) -> Table:
    """Without columns where the estimator doesn't say how many it takes."""
    first = next(_firsts(estimator))
    if type(first).__name__ in _OF_TEXTS:
        return Table(texts=True)
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return Table(tuple(Column(f"column-{at}") for at in range(_width(estimator))))
    seen = kinds(estimator)
    columns = tuple(Column(str(name), seen.get(str(name), "number")) for name in names)
    return Table(columns, True, any(map(_by_name, _firsts(estimator))) or "text" in seen.values())


def _width(estimator: Any) -> int:
    """How many columns come; where the first step doesn't say, as a function doesn't, as many as the
    first takes that does. 0 where none does.
    """
    for one in (estimator, *(step for _, step in getattr(estimator, "steps", ()))):
        if (count := getattr(one, "n_features_in_", None)) is not None:
            return int(count)
    return 0


def _firsts(estimator: Any) -> Iterator[Any]:
    """What the rows come to, in the order in which they do: what a pipeline begins with first."""
    for attribute in ("best_estimator_", "estimator_", "regressor_"):
        if (inner := getattr(estimator, attribute, None)) is not None:
            yield from _firsts(inner)
            return
    if steps := getattr(estimator, "steps", None):
        for _, step in steps:
            if step not in (None, "passthrough"):
                yield from _firsts(step)
                return
    yield estimator
    for _, inner, *_ in getattr(estimator, "transformer_list", ()):  # a FeatureUnion
        if not isinstance(inner, str):
            yield from _firsts(inner)


def _by_name(estimator: Any) -> bool:
    """Whether it picks columns by their names: a ColumnTransformer may."""
    return any(_names(columns) for _, _, columns in getattr(estimator, "transformers_", ()))


def _names(columns: Any) -> list[str]:
    found = [columns] if isinstance(columns, str) else list(columns) if _listed(columns) else []
    return [one for one in found if isinstance(one, str)]


def _listed(columns: Any) -> bool:
    return hasattr(columns, "__iter__")


def kinds(estimator: Any) -> dict[str, Kind]:
    """Of the columns that are texts: by what the encoders learned of them."""
    return {name: "text" for name, values in seen(estimator).items() if isinstance(values[0], str)}


def seen(estimator: Any) -> dict[str, list[Any]]:
    """Values that a column takes, where an encoder learned which it may have."""
    found: dict[str, list[Any]] = {}
    for one in _firsts(estimator):
        for _, inner, columns in getattr(one, "transformers_", ()):
            names = _names(columns)
            for name, values in zip(names, _learned(inner, len(names)), strict=False):
                if values and (isinstance(values[0], str) or name not in found):
                    found[name] = values
    return found


def _learned(transformer: Any, count: int) -> list[list[Any]]:
    """Of each of its columns the values that it has seen; none where it doesn't say."""
    for one in [step for _, step in getattr(transformer, "steps", ())] or [transformer]:
        if type(one).__name__ in _OF_TEXTS:
            return [["a text"]] * count
        categories = getattr(one, "categories_", None)
        if categories is not None:
            return [[_plain(value) for value in values if value == value] for values in categories]
        statistics = getattr(one, "statistics_", None)
        if statistics is not None and getattr(statistics, "dtype", np.dtype(float)).kind == "O":
            return [[value] if isinstance(value, str) else [] for value in statistics]
    return [[]] * count


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
