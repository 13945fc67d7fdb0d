"""What an archive may call: all of PyTorch's operators walked, and archives that reach for files."""

import contextlib
import json
import re
import zipfile

import pytest
import torch
import torch.ao.quantization.fx._decomposed  # registers quantized_decomposed's
from torch import nn

from serve_app.errors import ConfigError
from serve_app.runtimes.pt2_operators import may_call, may_say
from serve_app.runtimes.safe_pt2 import load_program

GRAPH = "models/model.json"
# What an operator can be given that is neither file nor process: numbers, tensors, lists of them.
COMPUTES = re.compile(
    r"(List\[)?(Optional\[)?(Tensor|int|bool|number|float|complex|Device|Generator)\]?\]?"
    r"|Optional\[List\[.*\]\]"
)
SCHEMAS = {
    f"torch.ops.{one.name.replace('::', '.')}.{one.overload_name or 'default'}": one
    for one in torch._C._jit_get_all_schemas()
}


def plain(kind) -> str:
    found = re.fullmatch(r"Optional\[(.*)\]", str(kind))
    return found[1] if found else str(kind)


def test_every_operator_that_may_be_called_only_computes():
    callables = {name: schema for name, schema in SCHEMAS.items() if may_call(name)}
    assert len(callables) > 1500  # it was walked
    for name, schema in callables.items():
        for argument in [*schema.arguments, *schema.returns]:
            kind = plain(argument.type)
            if kind == "str":  # a word of a kind that is known: no path, no address, no code
                assert may_say(argument.name, "mean") or argument.name == "equation", name
                if argument.name != "assert_msg":
                    for path in ("/etc/passwd", "a/b", "../x", "file://x", "http://x", "x.pt", "C:\\x"):
                        assert not may_say(argument.name, path) or argument.name == "equation", name
            else:
                assert COMPUTES.fullmatch(kind), f"{name} takes or gives {argument.type}"


@pytest.mark.parametrize("path", ["/etc/passwd", "a/b", "file://x", "x_1", "x\\y"])
def test_an_equation_names_no_file(path):
    assert not may_say("equation", path)
    assert may_say("equation", "bij,bjk -> bik")


def test_what_touches_files_processes_memory_or_the_network_is_refused():
    words = re.compile(
        r"file|save|load|dump|print|warn|open|write|exec|socket|c10d|rpc|process|profil|send|recv|reduce_scatter"
        r"|all_gather|all_to_all|symm_mem|record_stream|resize|set_data|_unsafe$|manual_seed|storage$|_test_"
        r"|strided_tensor|nested|sparse|mkldnn|cudnn|miopen|fbgemm"
    )
    touching = [name for name in SCHEMAS if words.search(name.removeprefix("torch.ops."))]
    assert len(touching) > 300
    assert [name for name in touching if may_call(name)] == []
    for one in ("from_file", "set_", "resize_", "empty_strided", "_reshape_alias", "_index_put_impl_"):
        assert not any(may_call(name) for name in SCHEMAS if name.split(".")[3] == one)


def test_only_three_namespaces_have_any():
    spaces = {name.split(".")[2] for name in SCHEMAS if may_call(name)}
    assert spaces == {"aten", "prims", "quantized_decomposed"}


@pytest.fixture
def saved(tmp_path):
    """An archive of a module, each of its nodes changed by `edit` if there is one."""

    def save(module, example, edit=None):
        good, path = tmp_path / "good.pt2", tmp_path / "model.pt2"
        torch.export.save(torch.export.export(module.eval(), example), str(good))
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if edit and name.endswith(GRAPH):
                    graph = json.loads(data)
                    for node in graph["graph_module"]["graph"]["nodes"]:
                        edit(node)
                    data = json.dumps(graph).encode()
                target.writestr(name, data)
        return path

    return save


class Ones(nn.Module):
    def forward(self, x):
        return torch.ones(8, dtype=torch.uint8) + x


def from_file(path, shared):
    """Edits a node so that it maps a file of the machine instead of making ones."""

    def edit(node):
        if node["target"] == "torch.ops.aten.ones.default":
            node["target"] = "torch.ops.aten.from_file.default"
            given = {"filename": {"as_string": str(path)}, "shared": {"as_bool": shared}}
            given |= {"size": {"as_int": 8}, "dtype": {"as_scalar_type": 1}}
            node["inputs"] = [{"name": name, "arg": arg, "kind": 1} for name, arg in given.items()]
        elif shared:
            node["target"] = "torch.ops.aten.add_.Tensor"

    return edit


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_of_the_machine_is_neither_read_nor_written(saved, tmp_path, shared):
    secret = tmp_path / "secret"
    secret.write_bytes(b"password")
    x = torch.ones(8, dtype=torch.uint8)
    path = saved(Ones(), (x,), from_file(secret, shared))
    with pytest.raises(ConfigError, match=r"calls 'torch.ops.aten.from_file.default', .* touch files"):
        load_program(path)
    assert secret.read_bytes() == b"password"
    # Without the check it would: the attack is a real one.
    with contextlib.suppress(RuntimeError):
        got = torch.export.load(str(path)).module()(x)
        assert bytes(got.tolist()) == b"qbttxpse"
        assert (secret.read_bytes() == b"qbttxpse") is shared


@pytest.mark.parametrize("text", ["/etc/passwd", "a.b", "tanh\n", ""])
def test_a_text_that_could_be_a_path_is_refused(saved, text):
    def edit(node):
        for given in node["inputs"]:
            if given["name"] == "approximate":
                given["arg"] = {"as_string": text}

    path = saved(nn.GELU(approximate="tanh"), (torch.ones(2),), edit)
    with pytest.raises(ConfigError, match=r"as_string .* might run code"):
        load_program(path)


class Unfilled(nn.Module):
    """Memory as others left it, of every kind that exports have."""

    def forward(self, x):
        y = torch.empty(64, 64)
        y[0, :2] = x
        return y + torch.empty_like(y) + x.new_empty(64, 64)


def test_memory_comes_as_zeros(saved):
    module = load_program(saved(Unfilled(), (torch.ones(2),))).module()
    for _ in range(3):
        waste = torch.full((64, 64), 7.0)  # what would be found there
        del waste
        got = module(torch.tensor([1.0, 2.0]))
        assert got[0, :2].tolist() == [1, 2]
        assert int(got.count_nonzero()) == 2


class Mixed(nn.Module):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = x @ x
        x = x.float()
        with torch.no_grad():
            x = x @ x
        x = x.sin()
        half = torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))
        return torch.div(half, 2, rounding_mode="floor"), torch.nn.functional.pad(x, (1, 1), "reflect")


MODULES = {
    "mixed": (Mixed(), (torch.ones(3, 3),)),
    "transformer": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2),
        (torch.ones(2, 5, 16),),
    ),
    "lstm": (nn.LSTM(4, 8, 2, bidirectional=True, batch_first=True), (torch.ones(2, 5, 4),)),
    "gru": (nn.GRU(4, 8), (torch.ones(2, 5, 4),)),
    "attention": (nn.MultiheadAttention(16, 2), (torch.ones(2, 5, 16),) * 3),
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2),
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(8, 4, 2),
            nn.GroupNorm(2, 4), nn.Hardswish(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Dropout(), nn.Linear(4, 2),
        ),
        (torch.ones(2, 3, 16, 16),),
    ),
    "embedding": (nn.EmbeddingBag(10, 3), (torch.ones(2, 5, dtype=torch.int64),)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_ordinary_networks_load_and_compute(saved, name):
    module, example = MODULES[name]
    got = load_program(saved(module, example)).module()(*example)
    expected = module(*example)
    torch.testing.assert_close(got, expected)
