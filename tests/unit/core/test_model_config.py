"""Triton's model configuration, by the rules of its model_config.proto.

`dims` leave out the batch's dimension when max_batch_size is more than 0, and aren't empty: a value
without dimensions is of dims [1], which `reshape` takes away. Its own clients (PyTriton,
perf_analyzer) insist on it.
"""

import pytest
from google.protobuf import json_format

from serve_app.core.target import Target
from serve_app.errors import InvalidArgument
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import Echo, call, description, plane, served, tensor

ANY = (-1,)


def config(shape: tuple[int, ...], rows: int = 0, datatype: str = "FP32") -> dict:
    p = plane()
    about = VersionDescription([TensorSpec("x", datatype, shape)], [TensorSpec("y", datatype, shape)])
    served(p, about=about, max_batch_size=rows)
    return p.model_config("m")


@pytest.mark.parametrize(
    ("shape", "rows", "dims", "reshape"),
    [
        ((-1, 64), 8, [64], None),
        ((-1, -1), 8, [-1], None),
        ((-1, 64), 0, [-1, 64], None),
        ((-1,), 0, [-1], None),
        ((-1,), 8, [1], {"shape": []}),
        ((), 0, [1], {"shape": []}),
        ((-1, 1), 8, [1], None),
    ],
)
def test_dims_are_without_the_batch_and_never_empty(shape, rows, dims, reshape):
    about = config(shape, rows)
    for entry in (*about["input"], *about["output"]):
        assert entry["dims"] == dims
        assert entry.get("reshape") == reshape


@pytest.mark.parametrize(
    ("shape", "rows", "said"),
    [((-1,), 8, [-1, 1]), ((), 0, [1]), ((-1,), 0, [-1]), ((-1, 64), 8, [-1, 64])],
)
def test_metadata_asks_for_what_the_configuration_says(shape, rows, said):
    """perf_analyzer takes an input's shape from the metadata and leaves the batch's dimension out."""
    p = plane()
    about = VersionDescription([TensorSpec("x", "FP32", shape)], [TensorSpec("y", "FP32", shape)])
    served(p, about=about, max_batch_size=rows)
    metadata = p.model_metadata("m")
    assert metadata["inputs"][0]["shape"] == said
    assert metadata["outputs"][0]["shape"] == list(shape)  # as it is answered


@pytest.mark.parametrize(
    ("datatype", "name"),
    [("BYTES", "TYPE_STRING"), ("BF16", "TYPE_BF16"), ("BOOL", "TYPE_BOOL"), ("UINT64", "TYPE_UINT64")],
)
def test_datatypes_have_their_names_of_the_configuration(datatype, name):
    assert config((-1, 2), datatype=datatype)["input"][0]["data_type"] == name


def test_every_field_is_one_of_the_message():
    for rows in (0, 8):
        about = config((-1,), rows)
        message = json_format.ParseDict(about, pb.ModelConfig(), descriptor_pool=pb.DESCRIPTOR.pool)
        assert list(message.version_policy.specific.versions) == [1, 2]
        assert message.input[0].HasField("reshape") is (rows == 8)
        assert not message.model_transaction_policy.decoupled


def test_a_model_that_streams_is_decoupled():
    class Streams(Echo):
        async def stream(self, inputs, parameters):
            yield inputs

    p = plane()
    model = p.directory.expect("m", "")
    one = Streams()
    model.serve("", description(versions=("1",)), {"1": Target(one, streams=one)})
    assert p.model_config("m")["model_transaction_policy"] == {"decoupled": True}


@pytest.mark.parametrize(
    ("shape", "rows", "given", "taken"),
    [
        (ANY, 8, [[1.0], [2.0]], [1, 2]),
        (ANY, 8, [1.0, 2.0], [1, 2]),
        ((), 0, [5.0], 5),
        ((), 0, 5.0, 5),
    ],
)
async def test_the_shape_that_it_says_is_taken_as_well_as_the_models_own(shape, rows, given, taken):
    p = plane()
    about = VersionDescription([TensorSpec("x", "FP32", shape)], [])
    served(p, backend=Echo(), about=about, max_batch_size=rows)
    answer = await p.infer(call(tensor(given)))
    assert answer.outputs[0].data.tolist() == taken


@pytest.mark.parametrize(
    ("shape", "rows", "given"),
    [(ANY, 0, [[1.0]]), (ANY, 8, [[1.0, 2.0]]), ((), 0, [1.0, 2.0]), ((-1, 2), 8, [[[1.0], [2.0]]])],
)
async def test_no_other_shape_is(shape, rows, given):
    p = plane()
    about = VersionDescription([TensorSpec("x", "FP32", shape)], [])
    served(p, backend=Echo(), about=about, max_batch_size=rows)
    with pytest.raises(InvalidArgument, match="expected shape"):
        await p.infer(call(tensor(given)))
