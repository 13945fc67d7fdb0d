"""How an explainer's application explains another model (serve_app.explainers)."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_snake

from serve_app.config.base import Config, Place

Method = Literal["lime", "shap", "integratedGradients"]
# method: the keys that are its own, and the formats that it reads; LIME asks the model, and reads none.
_KEYS = {
    "lime": ("kind", "samples", "features", "batchSize", "discretize", "regions", "hideColor"),
    "shap": (),
    "integratedGradients": ("steps", "baseline"),
}
_FORMATS = {"shap": ("sklearn", "xgboost", "lightgbm"), "integratedGradients": ("torch",)}


class Explainer(Config):
    """`kind` says what LIME perturbs: columns, words, regions of a picture."""

    method: Method
    """`lime` asks the model, whatever it is; `shap` reads a model of trees, and is exact;
    `integratedGradients` reads a torch model.
    """
    kind: Literal["tabular", "text", "image"] | None = None
    """For lime, required: what a row is."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Where chance begins. The same request with the same seed has the same answer, on every replica."""
    output: str = ""
    """Which of the model's outputs is explained. Without it `predict_proba`, if the model has that, else
    its first numbers.
    """
    samples: int = Field(default=1000, ge=10, le=100_000)
    """For lime: how many perturbed rows the model is asked about for each row."""
    features: int | None = Field(default=None, ge=1)
    """For lime: the most columns, words or regions that an explanation names. Without it all of them, of
    texts 10.
    """
    batch_size: int = Field(default=64, ge=1)
    """For lime: how many rows the model is asked at a time. A prediction waits behind one such batch at
    most, for each replica of the explainer.
    """
    discretize: bool = True
    """For lime of tables: whether numbers count by the quarter of the background that they are in, with
    a condition for each (`1.6 < petal width <= 1.8`); else by how large they are.
    """
    regions: int = Field(default=50, ge=2, le=10_000)
    """For lime of pictures: into about how many regions a picture is cut."""
    hide_color: float | None = None
    """For lime of pictures: the value of pixels in regions that are hidden. Without it, the picture's
    mean colour.
    """
    steps: int = Field(default=50, ge=2, le=10_000)
    """For integratedGradients: points on the way from the baseline to the input."""
    baseline: float | list[Any] = 0.0
    """For integratedGradients: what an input is compared with, one number for all of it, or nested lists
    in the shape of one row.
    """

    def contradictions(self, model_format: str) -> Iterator[tuple[Place, str]]:
        """What doesn't fit together, or not to the format of what is read."""
        for method, keys in _KEYS.items():
            for key in keys if method != self.method else ():
                if to_snake(key) in self.model_fields_set:
                    yield (key,), f"{key} belongs to method {method}, not {self.method}"
        if self.method == "lime" and self.kind is None:
            yield ("kind",), "method lime needs kind: tabular, text or image"
        for key, kind in (("discretize", "tabular"), ("regions", "image"), ("hideColor", "image")):
            if self.kind not in (None, kind) and to_snake(key) in self.model_fields_set:
                yield (key,), f"{key} belongs to kind {kind}, not {self.kind}"
        if self.method != "lime" and model_format not in (known := _FORMATS[self.method]):
            yield (
                ("method",),
                f"method {self.method} reads modelFormat {', '.join(known)}, not {model_format}; "
                "method lime explains any model",
            )
