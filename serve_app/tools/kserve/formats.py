"""Which of Tandem's runtimes serves a format of KServe's, and why others can't be."""

from typing import NamedTuple, get_args

from serve_app.config.model import ModelFormat

# The fields of `predictor` from before `model`, as KServe's webhook turns them into its `modelFormat`.
OLD_STYLE = {
    "sklearn": "sklearn", "xgboost": "xgboost", "tensorflow": "tensorflow", "pytorch": "pytorch",
    "triton": "triton", "onnx": "onnx", "huggingface": "huggingface", "pmml": "pmml",
    "lightgbm": "lightgbm", "paddle": "paddle",
}  # fmt: skip
# Those whose protocol that webhook sets to v2 where nothing is said.
V2_BY_DEFAULT = ("triton", "onnx", "huggingface")

# KServe's name: the runtime here. `huggingface` is one of two, by its task.
RUNTIMES = {
    "sklearn": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "onnx": "onnx",
    "pytorch": "torch",
    "torch": "torch",
    "torchscript": "torch",
    "transformers": "transformers",
    "huggingface": "transformers",
    "vllm": "vllm",
    "tensorflow": "tensorflow",
    "mlflow": "mlflow",
    "python": "python",
}
_ONNX = "export it to ONNX (modelFormat onnx), or leave it on KServe"
# Formats that KServe has a runtime for, and Tandem none.
WITHOUT = {
    "pmml": "the PMML evaluator is a Java program",
    "paddle": "Paddle's inference library isn't part of Tandem",
    "tensorrt": "an engine of TensorRT's runs in Triton alone",
    "openvino": "OpenVINO's IR runs in its own server alone",
    "autogluon": "a predictor of AutoGluon's is a folder of pickles",
    "spark": "a pipeline of Spark's needs Spark",
    "mar": "a model archive of TorchServe's holds code for TorchServe",
}


class Known(NamedTuple):
    """`runtime` '' where there is none, for the reason `why`, with what to do instead in `fix`."""

    runtime: str
    why: str = ""
    fix: str = ""


def names() -> set[str]:
    """All of KServe's that are known, to suggest one."""
    return {*RUNTIMES, *WITHOUT, "triton"}


def known(name: str) -> Known | None:
    """What runs a format; None for one that nobody knows."""
    name = name.lower() if name.lower() in names() else name
    if name in WITHOUT:
        return Known("", WITHOUT[name], _ONNX)
    if name not in RUNTIMES:
        return None
    runtime = RUNTIMES[name]
    if runtime not in get_args(ModelFormat):
        return Known("", f"this version of Tandem has no runtime for {runtime}", _ONNX)
    return Known(runtime)


# Tasks of KServe's huggingfaceserver: what Transformers' runtime calls them; '' for those of engines.
TASKS = {
    "text_embedding": "embedding",
    "sequence_classification": "text-classification",
    "token_classification": "token-classification",
    "fill_mask": "fill-mask",
    "text_generation": "",
    "text2text_generation": "",
}
# Others, and why they can't be here. KServe knows the first ones by name alone, and refuses them.
_BOTH = "KServe 0.21 refuses it, too"
NO_TASKS = {
    "table_question_answering": _BOTH,
    "question_answering": _BOTH,
    "multiple_choice": _BOTH,
    "zero_shot_classification": _BOTH,
    "feature_extraction": _BOTH,
    "time_series_forecast": "its protocol, /v1/timeseries/forecast, isn't spoken here",
}
# Those of them that Tandem has, which no argument of KServe's server names.
OWN_TASKS = {
    "zero_shot_classification": "zero-shot-classification",
    "feature_extraction": "feature-extraction",
}
# How the class that a model's config.json names ends, and the task that KServe infers from it.
ARCHITECTURES = {
    "ForQuestionAnswering": "question_answering",
    "ForMultipleChoice": "multiple_choice",
    "ForPrediction": "time_series_forecast",
    "ForTokenClassification": "token_classification",
    "ForSequenceClassification": "sequence_classification",
    "ForMaskedLM": "fill_mask",
    "ForCausalLM": "text_generation",
    "ForConditionalGeneration": "text2text_generation",
}
