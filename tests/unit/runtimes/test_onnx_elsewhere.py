"""A graph that came over the network reads nothing beside its folder: onnxruntime sees to that, and its
weights beside it are what `.data` is for."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from serve_app.config import InlineModel, parse
from serve_app.errors import ConfigError
from serve_app.runtimes.host import ModelHost


def graph(folder, location: str) -> None:
    """y = x + w, where w lies at `location`."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    made = helper.make_graph([node], "g", tensors[:1], tensors[1:], [weights])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


@pytest.mark.parametrize("place", ["beside", "above", "absolute", "linked"])
def test_weights_lie_beside_the_graph(tmp_path, place):
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    locations = {
        "beside": "w.data", "above": "../../w.data", "absolute": str(tmp_path / "w.data"),
        "linked": "link.data",
    }  # fmt: skip
    for file in (folder / "w.data", tmp_path / "w.data"):
        file.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (folder / "link.data").symlink_to(tmp_path / "w.data")
    graph(folder, locations[place])
    config = {"name": "m", "modelFormat": "onnx", "storageUri": str(tmp_path / "m")}
    host = ModelHost(parse(InlineModel, config))
    try:
        if place == "beside":
            assert [one.version for one in host.load()] == ["1"]
        else:
            with pytest.raises(ConfigError, match="xternal data"):
                host.load()
    finally:
        host.close()
