"""KServe's sklearnserver and xgbserver: which aren't on a package index, and do just this between its
own functions for requests and answers (kserve.utils.utils).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kserve import InferRequest, InferResponse, Model
from kserve.utils.utils import get_predict_input, get_predict_response


class TabularModel(Model):  # type: ignore[misc]
    """Rows in, the estimator's `predict` out, as an event loop's own work."""

    def __init__(self, name: str, predict: Callable[[Any], Any]) -> None:
        super().__init__(name)
        self._predict = predict
        self.ready = True

    def predict(
        self, payload: InferRequest | dict[str, Any], headers: dict[str, str] | None = None
    ) -> InferResponse | dict[str, Any]:
        """V1 or V2."""
        return get_predict_response(payload, self._predict(get_predict_input(payload)), self.name)


def loaded(name: str, model_format: str, file: Path) -> TabularModel:
    """One of them."""
    if model_format == "sklearn":
        import joblib

        model = joblib.load(file)
        odds = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
        return TabularModel(name, model.predict_proba if odds else model.predict)
    import xgboost

    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(file.read_bytes()))
    return TabularModel(name, lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1)))
