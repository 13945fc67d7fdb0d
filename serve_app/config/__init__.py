"""Everything a user can configure, typed. Unknown keys are refused with a "did you mean"."""

from serve_app.config.admin import Admin, Allow, Webhook
from serve_app.config.base import APART, Config, did_you_mean, join, keys_at, meant, parse, problems
from serve_app.config.explainer import Explainer
from serve_app.config.model import (
    Batching,
    Datatype,
    InlineModel,
    ModelConfig,
    ModelFormat,
    TensorConfig,
    servable,
)
from serve_app.config.options import (
    LightgbmOptions,
    OnnxOptions,
    SklearnOptions,
    TensorflowOptions,
    TorchOptions,
    TransformersOptions,
    V2Options,
    XgboostOptions,
)
from serve_app.config.policy import Latest, Versions, newest, served
from serve_app.config.remote import (
    ENGINE_CONCURRENCY,
    NEW_FIRST,
    Autoscaling,
    LlmConfig,
    RemoteModel,
    ReplicaUserConfig,
    Resources,
    TokenizerConfig,
    named,
)
from serve_app.config.rollout import Inconclusive, Metric, Rollout, Step
from serve_app.config.router import Cors, Limits, Logging, RouterArgs, RouterUserConfig, Routing
from serve_app.config.shadow import Shadow, Tolerance
from serve_app.config.traffic import Match, Sticky, Traffic

__all__ = [
    "APART", "ENGINE_CONCURRENCY", "NEW_FIRST", "Admin", "Allow", "Autoscaling", "Batching",
    "Config", "Cors", "Datatype", "Explainer", "Inconclusive", "InlineModel", "Latest",
    "LightgbmOptions", "Limits", "LlmConfig", "Logging", "Match", "Metric", "ModelConfig", "ModelFormat",
    "OnnxOptions", "RemoteModel", "ReplicaUserConfig", "Resources", "Rollout", "RouterArgs",
    "RouterUserConfig", "Routing", "Shadow", "SklearnOptions", "Step", "Sticky", "TensorConfig",
    "TensorflowOptions", "TokenizerConfig", "Tolerance", "TorchOptions", "Traffic",
    "TransformersOptions", "V2Options",
    "Versions", "Webhook", "XgboostOptions", "did_you_mean", "join", "keys_at", "meant", "named",
    "newest", "parse", "problems", "servable", "served",
]  # fmt: skip
