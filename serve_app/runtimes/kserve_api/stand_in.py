"""A package `kserve` for the modules of users who haven't installed KServe's."""

import importlib.util
import logging
import sys
import uuid
from types import ModuleType, SimpleNamespace
from typing import Any

from serve_app.protocol.datatypes import TO_NUMPY, v2_datatype
from serve_app.runtimes.kserve_api import errors, model, tensors

NAME = "kserve"
_TENSORS = ("InferInput", "InferOutput", "InferRequest", "InferResponse", "RequestedOutput")


def stand_in() -> bool:
    """Put it among the imported modules, unless KServe's own can be had; whether it is there."""
    if (there := sys.modules.get(NAME)) is not None:
        return getattr(there, "tandem", False)
    if importlib.util.find_spec(NAME) is not None:
        return False
    for name, content in _modules().items():
        module = ModuleType(name, "Tandem's, in the place of KServe's package.")
        module.__path__ = []
        module.__dict__.update(content)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    return True


def tensor_types() -> Any:
    """The classes of requests and answers that a user's module knows."""
    there = sys.modules.get(NAME)
    return there if hasattr(there, "InferRequest") else SimpleNamespace(**_tensors())


def _tensors() -> dict[str, Any]:
    return {name: getattr(tensors, name) for name in _TENSORS}


def _modules() -> dict[str, dict[str, Any]]:
    """By name, parents first, what can be imported from each."""
    protocols = {"PredictorProtocol": model.PredictorProtocol}
    config = {"PredictorConfig": model.PredictorConfig}
    own = {"Model": model.Model, "ModelServer": model.ModelServer}
    server = {"ModelServer": model.ModelServer, "parser": model.arguments()}
    logs: dict[str, Any] = {
        "logger": logging.getLogger(NAME),
        "trace_logger": logging.getLogger(f"{NAME}.trace"),
        "configure_logging": lambda *_: None,  # Tandem's are configured already
    }
    utils = {
        "generate_uuid": lambda: str(uuid.uuid4()),
        "from_np_dtype": lambda dtype: v2_datatype(_empty(dtype)),
        "to_np_dtype": TO_NUMPY.get,
    }
    return {
        NAME: {**own, **config, **_tensors(), "tandem": True},
        "kserve.model": {"Model": model.Model, **protocols, **config},
        "kserve.model_server": server,
        "kserve.predictor_config": config,
        "kserve.logging": logs,
        "kserve.errors": errors.EXCEPTIONS,
        "kserve.constants": {},
        "kserve.constants.constants": protocols,
        "kserve.protocol": {},
        "kserve.protocol.infer_type": _tensors(),
        "kserve.utils": {},
        "kserve.utils.utils": utils,
    }


def _empty(dtype: Any) -> Any:
    import numpy as np

    return np.empty(0, dtype)
