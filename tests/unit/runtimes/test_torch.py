import warnings

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from serve_app.config import ModelConfig, parse
from serve_app.demo.build import digits_split
from serve_app.errors import ConfigError
from serve_app.runtimes.base import create
from serve_app.runtimes.torch import to_numpy, to_torch, torch_device
from tests.unit.arrays import DATATYPES, DTYPES, same, special

DECLARED = {
    "modelFormat": "torch",
    "storageUri": "unused",
    "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        {"name": "label", "datatype": "INT64", "shape": [-1]},
    ],
}


def runtime(folder, **changes):
    return create(parse(ModelConfig, DECLARED | changes), folder)


def by_hand(folder, pixels: np.ndarray) -> np.ndarray:
    """The network in plain numpy, from the weights beside the model file."""
    w = load_file(folder / "weights.safetensors")
    hidden = np.maximum(pixels / 16 @ w["hidden.weight"].T + w["hidden.bias"], 0)
    logits = hidden @ w["out.weight"].T + w["out.bias"]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


@pytest.mark.parametrize("version", ["1", "2"])
def test_digits_against_plain_numpy(demo_models, version):
    folder = demo_models / "digits" / version
    _, pixels, _, labels = digits_split()
    model = runtime(folder)
    model.load()
    model.warm_up({"pixels": pixels[:1]})
    expected = by_hand(folder, pixels)
    for rows in (1, 3, len(pixels)):
        got = model.predict({"pixels": pixels[:rows]}, {})
        assert list(got) == ["probabilities", "label"]
        assert got["probabilities"].dtype == np.float32
        assert np.allclose(got["probabilities"], expected[:rows], atol=1e-5)
        assert np.array_equal(got["label"], expected[:rows].argmax(-1))
    assert (got["label"] == labels).mean() >= 0.97
    assert [spec.name for spec in model.metadata().inputs] == ["pixels"]
    model.close()


def test_requests_are_read_only_and_stay_as_they_are(demo_models):
    model = runtime(demo_models / "digits" / "1")
    model.load()
    pixels = np.frombuffer(bytes(64 * 4), dtype=np.float32).reshape(1, 64)
    assert model.predict({"pixels": pixels}, {})["label"].shape == (1,)
    assert not pixels.any()


class Shapes(torch.nn.Module):
    """What a module may return besides a tuple."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: torch.Tensor):
        if self.form == "one":
            return x + 1
        return {"b": x + 1, "a": x * 2}


def scripted(folder, module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(module, torch.zeros(2, 64), strict=False).save(str(folder / "model.pt"))
    return folder


def test_torchscript_where_it_is_trusted_only(tmp_path):
    """It can do whatever its process can: this one reads a file, as it would write one."""

    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor):
            return torch.from_file(name, size=4, dtype=torch.uint8) + x[:, :4].to(torch.uint8)

    secret = tmp_path / "secret"
    secret.write_bytes(b"abcd")
    name = str(secret)
    scripted(tmp_path, Reads())
    with pytest.raises(ConfigError, match=r"model.pt is not loaded: .* set `trusted: true`"):
        runtime(tmp_path).load()
    declared = [{"name": "probabilities", "datatype": "UINT8", "shape": [-1, 4]}]
    model = runtime(tmp_path, trusted=True, outputs=declared)
    model.load()
    got = model.predict({"pixels": np.zeros((1, 64), dtype=np.float32)}, {})
    assert got["probabilities"].tobytes() == b"abcd"


def test_one_tensor_and_dicts(tmp_path):
    x = {"pixels": np.ones((2, 64), dtype=np.float32)}
    one = runtime(scripted(tmp_path, Shapes("one")), outputs=DECLARED["outputs"][:1], trusted=True)
    one.load()
    assert one.predict(x, {})["probabilities"].tolist() == [[2.0] * 64] * 2
    several = runtime(scripted(tmp_path, Shapes("dict")), trusted=True)
    several.load()
    assert {name: float(a[0, 0]) for name, a in several.predict(x, {}).items()} == {"a": 2, "b": 2}


def test_more_outputs_declared_than_returned(tmp_path):
    model = runtime(scripted(tmp_path, Shapes("one")), trusted=True)
    model.load()
    with pytest.raises(ValueError, match="returned 1 tensors, declared are probabilities, label"):
        model.predict({"pixels": np.ones((2, 64), dtype=np.float32)}, {})


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_files_that_are_no_models(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=str(tmp_path / name)):
        runtime(tmp_path, trusted=True).load()
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=r"exactly one of model.pt2, model.pt, found none"):
        runtime(tmp_path).load()


def test_a_pickled_module_is_not_torchscript(tmp_path):
    torch.save({"weight": torch.ones(1)}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="it is a state_dict"):
        runtime(tmp_path).load()


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_torch_needs_declarations(tmp_path, side):
    with pytest.raises(ConfigError, match="needs inputs and outputs"):
        runtime(tmp_path, **{side: []})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thread": 1}, "thread: unknown key; did you mean threads"),
        ({"threads": -1}, "threads: .*got -1"),
    ],
)
def test_options_are_checked(tmp_path, options, message):
    with pytest.raises(ConfigError, match=rf"options\.{message}"):
        runtime(tmp_path, options=options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(ConfigError, match="num_gpus is set, but PyTorch sees no GPU"):
        torch_device(torch, True)
    assert torch_device(torch, False).type == "cpu"


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
@pytest.mark.parametrize("shape", [(), (0,), (6,), (2, 3), (3, 0, 2)])
def test_arrays_cross_to_torch_and_back(datatype, shape):
    values = np.arange(np.prod(shape, dtype=int)).astype(DTYPES[datatype]).reshape(shape)
    read_only = np.frombuffer(values.tobytes(), dtype=values.dtype).reshape(shape)
    tensor = to_torch(torch, read_only)
    assert tuple(tensor.shape) == shape
    assert same(values, to_numpy(torch, tensor))
    assert tensor.tolist() == values.astype("float64" if datatype == "BF16" else values.dtype).tolist()


def test_bfloat16_keeps_every_bit():
    values = special(DTYPES["BF16"])
    tensor = to_torch(torch, values)
    assert tensor.dtype == torch.bfloat16
    assert same(values, to_numpy(torch, tensor))
    transposed = to_torch(torch, values[:10].reshape(2, 5)).T
    assert same(np.ascontiguousarray(values[:10].reshape(2, 5).T), to_numpy(torch, transposed))


class Twice(torch.nn.Module):
    def forward(self, pixels):
        return pixels[:, :10] * 2, pixels.sum(1).long()


# PyTorch's "Saving and Loading Models" has the forms of torch.save.
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_files_of_torch_save_are_named_for_what_they_are(tmp_path, zipped, name):
    network = torch.nn.Linear(2, 2)
    for saved, says in ((network.state_dict(), "a state_dict: weights without"),
                        (network, "a pickled torch.nn.modules.linear.Linear"),
                        ({"epoch": 3, "model": network.state_dict()}, "a state_dict")):  # fmt: skip
        torch.save(saved, tmp_path / name, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ConfigError, match=says if zipped else "it is a pickle") as caught:
            runtime(tmp_path).load()
        assert "torch.export.save(torch.export.export(" in str(caught.value)


def test_files_with_each_others_names(tmp_path, demo_models):
    script = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Linear(2, 1), torch.zeros(1, 2)).save(str(script))
    exported = demo_models / "digits" / "2" / "model.pt2"
    for real, other in ((script, "model.pt2"), (exported, "model.pt")):
        file, folder = real.name, tmp_path / f"as-{other}"
        folder.mkdir()
        (folder / other).write_bytes(real.read_bytes())
        with pytest.raises(ConfigError, match=f"rename it to {file}$"):
            runtime(folder).load()


def test_a_program_of_one_size_says_how_to_export_it(tmp_path):
    example = (torch.ones(3, 64),)
    torch.export.save(torch.export.export(Twice(), example), tmp_path / "model.pt2")
    with pytest.raises(ConfigError, match="exactly 3 in dimension 0: export it with dynamic shapes"):
        runtime(tmp_path).load()
    fixed = [{**DECLARED["inputs"][0], "shape": [3, 64]}]
    runtime(tmp_path, inputs=fixed).load()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(
        torch.export.export(Twice(), example, dynamic_shapes=dynamic), tmp_path / "model.pt2"
    )
    model = runtime(tmp_path)
    model.load()
    for rows in (1, 5):
        assert model.predict({"pixels": np.ones((rows, 64), np.float32)}, {})["label"].shape == (rows,)


def test_closing_gives_the_weights_back_whatever_still_refers_to_them(demo_models):
    """A module's parts refer to each other, and what is frozen isn't looked at by the collector."""
    model = runtime(demo_models / "digits" / "1")
    model.load()
    kept = model._module
    assert min(one.untyped_storage().nbytes() for one in kept.parameters()) > 0
    model.close()
    assert {one.untyped_storage().nbytes() for one in kept.parameters()} == {0}
