"""Rows and columns: which of KServe's servers would run them, and what it answers."""

from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model

_FORMATS = ("sklearn", "xgboost", "lightgbm")
_PROBABILITIES = "PREDICT_PROBA"  # a variable of KServe's sklearnserver
_OUTPUT = "output-0"


def as_there(one: Field, model: Model) -> None:
    """The answers' name, and what of the model's is answered.

    Without a `runtime`, MLServer has models of protocol v2, KServe's own servers the others: their
    priorities in KServe's ClusterServingRuntimes.
    """
    if model.format not in _FORMATS:
        return
    runtime, protocol = one.text("runtime"), one.get("protocolVersion")
    mlserver = "mlserver" in runtime if runtime else protocol in ("v2", "grpc-v2")
    if not mlserver:
        _option(model, "outputName", _OUTPUT)
    elif model.format == "xgboost":
        _option(model, "interface", "sklearn")
    if model.format == "sklearn" and model.env.get(_PROBABILITIES, "").lower() == "true":
        del model.env[_PROBABILITIES]
        _option(model, "output", "predict_proba")


def _option(model: Model, key: str, value: str) -> None:
    model.entry.setdefault("options", {}).setdefault(key, value)
