import sys

import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError
from serve_app.runtimes.base import RUNTIMES, create, need

DECLARED = [{"name": "x", "datatype": "FP32", "shape": [1]}]


@pytest.mark.parametrize(
    ("model_format", "module", "extra", "options"),
    [
        ("torch", "torch", "torch", {}), ("onnx", "onnxruntime", "onnx", {}),
        ("transformers", "transformers", "transformers", {"task": "embedding"}),
        ("transformers", "torch", "transformers", {"task": "embedding"}),
    ],
)  # fmt: skip
def test_a_missing_framework_names_the_extra(
    monkeypatch, tmp_path, model_format, module, extra, options
):
    monkeypatch.setitem(sys.modules, module, None)
    config = parse(
        ModelConfig,
        {
            "modelFormat": model_format,
            "storageUri": "x",
            "options": options,
            "inputs": DECLARED,
            "outputs": DECLARED,
        },
    )
    runtime = create(config, tmp_path)
    with pytest.raises(
        ConfigError, match=rf"{module} can't be imported.*pip install 'tandem-serve\[{extra}\]'"
    ):
        runtime.load()


def test_need_imports():
    assert need("json", "x").dumps(1) == "1"


def test_every_format_has_a_runtime():
    formats = ModelConfig.model_fields["model_format"].annotation.__args__
    assert set(RUNTIMES) == set(formats) - {"vllm"}  # an engine is a deployment of its own
