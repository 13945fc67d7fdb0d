"""The models of the comparison with KServe's servers: who makes each, and what KServe runs it with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(90, 4))
LABELS = np.argmax(ROWS[:, :3], axis=1)
ASKED = ROWS[:5].tolist()
TEXTS = ["a good film", "bad", "a b c d e good bad"]
MASKED = ["a [MASK] film", "[MASK] [MASK]"]
INLINE = {"tandem/placement": "inline"}  # one in a process of its own is enough
NAMED = """
inputs: [{name: rows, datatype: FP32, shape: [-1, 4]}]
outputs: [{name: odds, datatype: FP32, shape: [-1, 3]}, {name: best, datatype: INT64, shape: [-1]}]
"""


@dataclass(frozen=True)
class Kind:
    """`server`: a module of KServe's repository, with the arguments of its ClusterServingRuntime
    `runtime`; or, for the formats of Triton and TorchServe, the arguments of our class on KServe's
    model server. `asked`: the instances of V1."""

    format: str
    make: Callable[[Path], None]
    server: str = ""
    runtime: str = ""
    of_class: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=lambda: INLINE)
    asked: list[Any] = field(default_factory=lambda: ASKED)
    input: str = "input-0"
    transformer: tuple[str, ...] = ()  # the arguments of kserve_transformer.py


def made_sklearn(folder: Path) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit(ROWS, LABELS), folder / "model.joblib")


def made_xgboost(folder: Path) -> None:
    import xgboost

    xgboost.XGBClassifier(n_estimators=4).fit(ROWS, LABELS).save_model(folder / "model.json")


def made_lightgbm(folder: Path) -> None:
    import lightgbm

    data = lightgbm.Dataset(ROWS, LABELS)
    booster = lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, data, 4)
    booster.save_model(folder / "model.bst")


def _network(folder: Path, form: str) -> None:
    """Probabilities and the likeliest class, of a layer with random weights."""
    import torch

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, rows: Any) -> Any:
            odds = self.layer(rows).softmax(-1)
            return odds, odds.argmax(-1)

    torch.manual_seed(3)
    network, example = Small().eval(), (torch.zeros(2, 4),)
    varying = ({0: torch.export.Dim.DYNAMIC},)
    if form == "pt":
        torch.jit.trace(network, example).save(str(folder / "model.pt"))
    elif form == "pt2":
        program = torch.export.export(network, example, dynamic_shapes=varying)
        torch.export.save(program, str(folder / "model.pt2"))
    else:
        from onnx import TensorProto, checker, helper, numpy_helper, save

        weight = network.layer.weight.detach().numpy().T.copy()
        parts = [numpy_helper.from_array(weight, "w"),
                 numpy_helper.from_array(network.layer.bias.detach().numpy(), "b")]  # fmt: skip
        nodes = [
            helper.make_node("MatMul", ["rows", "w"], ["xw"]),
            helper.make_node("Add", ["xw", "b"], ["sum"]),
            helper.make_node("Softmax", ["sum"], ["odds"], axis=-1),
            helper.make_node("ArgMax", ["odds"], ["best"], axis=-1, keepdims=0),
        ]
        ends = [helper.make_tensor_value_info("odds", TensorProto.FLOAT, ["n", 3]),
                helper.make_tensor_value_info("best", TensorProto.INT64, ["n"])]  # fmt: skip
        start = [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 4])]
        graph = helper.make_graph(nodes, "small", start, ends, parts)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        save(model, str(folder / "model.onnx"))


def _texts(folder: Path, kind: str) -> None:
    """A BERT with random weights and a vocabulary of 13."""
    import torch
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "good", "bad", "film"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(4)
    small = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, num_labels=3, initializer_range=0.7,
    )  # fmt: skip
    getattr(transformers, kind)(small).eval().save_pretrained(folder, safe_serialization=True)


def _hugging(kind: str, task: str, *args: str, **more: Any) -> Kind:
    # Without the backend's name KServe takes vLLM for whatever that has an architecture of.
    return Kind(
        "huggingface",
        partial(_texts, kind=kind),
        "huggingfaceserver",
        "kserve-huggingfaceserver",
        args=(f"--task={task}", "--backend=huggingface", *args),
        **{"asked": TEXTS, **more},
    )


ONNX, TORCH = ("onnx", "rows", "odds", "best"), ("torch", "rows", "odds", "best")
KINDS = {
    "sklearn": Kind(
        "sklearn", made_sklearn, "sklearnserver", "kserve-sklearnserver",
        notes={"tandem/model": "trusted: true"},
    ),
    "xgboost": Kind("xgboost", made_xgboost, "xgbserver", "kserve-xgbserver"),
    "lightgbm": Kind("lightgbm", made_lightgbm, "lgbserver", "kserve-lgbserver"),
    "onnx": Kind("onnx", partial(_network, form="onnx"), of_class=ONNX, input="rows"),
    "torch-export": Kind(
        "pytorch", partial(_network, form="pt2"), of_class=TORCH, input="rows",
        notes={"tandem/model": NAMED, **INLINE},
    ),
    "torchscript": Kind(
        "pytorch", partial(_network, form="pt"), of_class=TORCH, input="rows",
        notes={"tandem/model": NAMED + "trusted: true", **INLINE},
    ),
}  # fmt: skip
for _protocol in ("v1", "v2"):
    KINDS[f"around-{_protocol}"] = Kind(
        "onnx", partial(_network, form="onnx"), of_class=ONNX,
        notes={"tandem/transformer": "class: tests.serve.kserve_transformer:Scaled", **INLINE},
        transformer=(f"--predictor_protocol={_protocol}",),
    )  # fmt: skip
_SEQUENCE = ("BertForSequenceClassification", "sequence_classification")
_TOKENS = ("BertForTokenClassification", "token_classification")
HUGGING = {
    "embedding": _hugging("BertModel", "text_embedding", notes={}),
    "sequence": _hugging(*_SEQUENCE),
    "sequence-odds": _hugging(*_SEQUENCE, "--return_probabilities"),
    "tokens": _hugging(*_TOKENS),
    "tokens-logits": _hugging(*_TOKENS, "--return_raw_logits"),
    "fill-mask": _hugging("BertForMaskedLM", "fill_mask", asked=MASKED),
}
