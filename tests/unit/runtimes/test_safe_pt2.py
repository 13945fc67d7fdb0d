"""Archives made evil: each would create a file, were any of it unpickled, evaluated or called."""

import io
import json
import logging
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from serve_app.errors import ConfigError
from serve_app.runtimes.safe_pt2 import load_program

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("scale", torch.tensor([0.5, 2.0]))

    def forward(self, x, y):
        odds = torch.nn.functional.gelu(self.linear(x), approximate="tanh") * self.scale
        return {
            "odds": odds,
            "pairs": torch.einsum("bi,bj->bij", y, y)[:, : x.shape[1] // 2] + torch.ones(1),
        }


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    batch = torch.export.Dim("batch", min=1, max=64)
    example = (torch.zeros(4, 3), torch.zeros(4, 2))
    program = torch.export.export(Net().eval(), example, dynamic_shapes=({0: batch}, {0: batch}))
    path = tmp_path_factory.mktemp("pt2") / "good.pt2"
    torch.export.save(program, str(path))
    return path


@pytest.fixture
def flag(tmp_path):
    return tmp_path / "executed"


@pytest.fixture
def evil(flag):
    """An object whose unpickling creates `flag`."""

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {flag}",)

    return Evil()


@pytest.fixture
def changed(good, tmp_path):
    """The good archive with files replaced (by a function of the old bytes), removed (None) or added."""

    def change(replace):
        path = tmp_path / "changed.pt2"
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
            names = [name.partition("/")[2] for name in source.namelist()]
            root = source.namelist()[0].partition("/")[0]
            for name in [*names, *(name for name in replace if name not in names)]:
                data = source.read(f"{root}/{name}") if name in names else b""
                new = replace.get(name, data)
                new = new(data) if callable(new) else new
                if new is not None:
                    target.writestr(f"{root}/{name}", new)
        return path

    return change


def edited(edit):
    """A function of bytes from one that changes parsed JSON in place."""

    def change(data):
        value = json.loads(data)
        edit(value)
        return json.dumps(value).encode()

    return change


def saved(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def run(path) -> None:
    load_program(path).module()(torch.zeros(2, 3), torch.zeros(2, 2))


def refused(path, flag, match) -> None:
    with pytest.raises(ConfigError, match=match):
        run(path)
    assert not flag.exists()


def test_a_good_archive_loads_and_computes(good):
    module = load_program(good).module()
    x, y = torch.randn(5, 3), torch.randn(5, 2)
    got = module(x, y)
    state = module.state_dict()
    linear = x.numpy() @ state["linear.weight"].numpy().T + state["linear.bias"].numpy()
    gelu = 0.5 * linear * (1 + np.tanh(np.sqrt(2 / np.pi) * (linear + 0.044715 * linear**3)))
    assert np.allclose(got["odds"].detach().numpy(), gelu * [0.5, 2.0], atol=1e-5)
    assert np.allclose(got["pairs"].numpy(), y.numpy()[:, :1, None] * y.numpy()[:, None] + 1, atol=1e-5)
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_attacks_would_work_without_the_checks(changed, flag, evil):
    """Keeps the tests below honest: torch itself does execute such an archive."""
    logging.disable(logging.WARNING)  # torch's own message about it is broken
    try:
        torch.export.load(str(changed({SAMPLES: saved(((evil,), {}))})))
    finally:
        logging.disable(logging.NOTSET)
    assert flag.exists()


def test_sample_inputs_are_never_executed(changed, flag, evil):
    refused(changed({SAMPLES: saved(((evil,), {}))}), flag, "a pickle of more than tensors")


def test_pickled_weights_are_refused(changed, flag, evil):
    def mark(config):
        next(iter(config["config"].values()))["use_pickle"] = True

    path = changed({WEIGHTS: edited(mark), "data/weights/weight_0": saved(evil)})
    refused(path, flag, "as a pickle, which is not loaded")


@pytest.mark.parametrize(
    "name", ["custom_obj_0", "opaque_obj_0", "opaque_obj_a/b", "tensor_0/x", "../evil"]
)
@pytest.mark.parametrize("declared", [True, False])
def test_pickled_objects_are_refused(changed, flag, evil, name, declared):
    def add(config):
        entry = next(iter(config["config"].values()), None) or {"is_param": False, "tensor_meta": None}
        config["config"]["c"] = entry | {"path_name": name, "use_pickle": False}

    files = {f"data/constants/{name}": pickle.dumps(evil)} | (
        {CONSTANTS: edited(add)} if declared else {}
    )
    refused(changed(files), flag, "which is not loaded")


@pytest.mark.parametrize(
    "name",
    [
        "data/aotinductor/model/m.so", "data/weights/model.pt", "data/constants/model.pt",
        "models/other.json", "xl_model_weights/model_param_config", "data/executorch/m.pte",
        "code/m.py", "data.pkl",
    ],
)  # fmt: skip
def test_compiled_code_and_legacy_parts_are_refused(changed, flag, evil, name):
    refused(changed({name: saved(evil)}), flag, "which is not loaded")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("first", ["good", "evil"])
def test_a_config_given_twice_hides_nothing(good, flag, evil, tmp_path, first):
    path = tmp_path / "twice.pt2"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("weight_0"):
                data = saved(evil)
            elif name.endswith(WEIGHTS):
                config = json.loads(data)
                next(iter(config["config"].values()))["use_pickle"] = True
                both = [data, json.dumps(config)]
                target.writestr(name, both[first == "evil"])
                data = both[first == "good"]
            target.writestr(name, data)
    with pytest.raises((ConfigError, ValueError), match=r"as a pickle|weight_0"):
        run(path)
    assert not flag.exists()


def in_graph(old: str, new: str):
    def change(data):
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Symbol('s", "__import__('os').system('touch {flag}') + Symbol('s"),
        ('"name": "x"', "\"name\": \"x=__import__('os').system('touch {flag}')\""),
        ('"guards_code": [', '"guards_code": ["__import__(\'os\').system(\'touch {flag}\')",'),
        ('\\"type\\": \\"builtins.dict\\"', '\\"type\\": \\"__import__(1)\\"'),
    ],
)  # fmt: skip
def test_code_in_the_graphs_texts_is_refused(changed, flag, good, old, new):
    refused(changed({GRAPH: in_graph(old, new.format(flag=flag))}), flag, "might run code: not loaded")


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system", "torch.ops.load_library", "torch.ops.aten.__init__.__globals__",
        "torch.ops.os.system", "_operator.attrgetter", "math.__loader__.load_module", "torch.load",
        "os.system", "#x",
    ],
)  # fmt: skip
def test_only_known_operators_are_called(changed, flag, target):
    def add(graph):
        graph["graph_module"]["graph"]["nodes"][0]["target"] = target

    refused(changed({GRAPH: edited(add)}), flag, "isn't among the operators that only compute")


@pytest.mark.parametrize(
    "text",
    [
        "eval(chr(49))", "s0.__class__", "s0[0]", "(lambda: 1)()", "[s0 for s0 in (1,)]", "exit()",
        "s0 if 1 else 2", "Symbol('a b')", "Symbol('__import__')", "s0 # comment", "f's0'", "s0 := 1",
        "(" * 500, "Symbol(s0=eval)",
    ],
)  # fmt: skip
def test_size_expressions_are_arithmetic(changed, flag, text):
    def replace(data):
        value = json.loads(data)
        graph = value["graph_module"]["graph"]
        sizes = [
            size
            for meta in graph["tensor_values"].values()
            for size in meta["sizes"]
            if "as_expr" in size
        ]
        sizes[0]["as_expr"]["expr_str"] = text
        return json.dumps(value).encode()

    refused(changed({GRAPH: replace}), flag, "expr_str .* might run code")


def test_what_is_no_archive(tmp_path, good, changed):
    for data in (b"", b"PK", b"not a zip", good.read_bytes()[:-200]):
        (tmp_path / "m.pt2").write_bytes(data)
        with pytest.raises(ConfigError, match=r"no torch.export archive"):
            load_program(tmp_path / "m.pt2")
    for name in ("archive_format", GRAPH):
        with pytest.raises(ConfigError, match=r"no torch.export archive"):
            load_program(changed({name: None}))
    for data in (b"[]", b"{", b"{}"):
        with pytest.raises(ConfigError):
            load_program(changed({WEIGHTS: data}))


def test_the_legacy_format_is_refused(tmp_path, flag, evil):
    path = tmp_path / "legacy.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "1.1")
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", saved(evil))
    refused(path, flag, "export it again")
