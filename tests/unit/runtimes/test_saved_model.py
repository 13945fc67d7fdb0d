"""SavedModels as TensorFlow writes them, held against TensorFlow's own answers."""

import base64

import numpy as np
import pytest

from serve_app.config import InlineModel, parse
from serve_app.errors import ConfigError, InvalidArgument, ModelFailed
from serve_app.runtimes import base
from tests.unit.runtimes.tabular import Served, matrix

tf = pytest.importorskip("tensorflow", reason="the extra `tensorflow` isn't installed")

ROWS = [[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with version 1: rows, texts and a picture's bytes, each a signature."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]])

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def rows(self, x):
            scores = x @ self.weight
            return {"scores": scores, "best": tf.argmax(scores, axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def texts(self, text):
            return {"upper": tf.strings.upper(text)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def image(self, image_bytes):
            def one(data):
                return tf.reduce_mean(tf.cast(tf.io.decode_png(data, channels=1), tf.float32))

            return {"brightness": tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)}

    folder, model = tmp_path_factory.mktemp("saved"), Model()
    signatures = {"serving_default": model.rows, "texts": model.texts, "image": model.image}
    tf.saved_model.save(model, str(folder / "1"), signatures=signatures)
    return folder


@pytest.fixture
def served(saved):
    made = []

    def serve(signature="serving_default", **more):
        made.append(Served(saved, "tensorflow", trusted=True, options={"signature": signature}, **more))
        return made[-1]

    yield serve
    for one in made:
        one.close()


def expected(rows):
    return np.array(rows, np.float32) @ np.array([[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]], np.float32)


async def test_v1_v2_and_grpc(served):
    model = served()
    scores = expected(ROWS)
    found = await model.v1({"instances": ROWS})
    assert found == [
        {"best": int(row.argmax()), "scores": pytest.approx(row.tolist())} for row in scores
    ]
    answer = await model.v2([matrix(ROWS, "x", "FP32")])
    assert answer["scores"]["data"] == pytest.approx(scores.ravel().tolist())
    assert answer["best"] == {"datatype": "INT64", "shape": [2], "data": scores.argmax(1).tolist()}
    message = await model.grpc("x", np.array(ROWS, np.float32))
    assert {one.name for one in message.outputs} == {"best", "scores"}


def test_its_signature_is_its_metadata(served):
    about = served().about()
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert {one["name"]: one["shape"] for one in about["outputs"]} == {"best": [-1], "scores": [-1, 2]}
    assert [one["name"] for one in served("texts").about()["inputs"]] == ["text"]


async def test_texts_and_pictures(served):
    assert await served("texts").v1({"instances": ["a tandem"]}) == ["A TANDEM"]
    picture = tf.io.encode_png(tf.fill([2, 2, 1], tf.constant(100, tf.uint8))).numpy()
    b64 = base64.b64encode(picture).decode()
    assert await served("image").v1({"instances": [{"b64": b64}, {"b64": b64}]}) == [100.0, 100.0]
    with pytest.raises((InvalidArgument, ModelFailed), match="TensorFlow"):
        await served("image").v1({"instances": [{"b64": base64.b64encode(b"no picture").decode()}]})


async def test_some_of_the_outputs(served):
    model = served(outputs=[{"name": "best", "datatype": "INT64", "shape": [-1]}])
    assert await model.v1({"instances": ROWS}) == expected(ROWS).argmax(1).tolist()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"trusted": False}, "a SavedModel is a program"),
        ({"options": {"signature": "other"}}, "no signature 'other', there are: image, serving_default"),
        ({"outputs": [{"name": "z", "datatype": "FP32", "shape": [-1]}]}, "'z' is not the model's"),
    ],
)
def test_what_is_refused(saved, more, said):
    runtime = created(saved, **more)
    with pytest.raises(ConfigError, match=said):
        runtime.load()


def created(folder, **more):
    config = {"name": "m", "modelFormat": "tensorflow", "storageUri": str(folder), "trusted": True}
    version = folder / "1"
    return base.create(parse(InlineModel, config | more), version if version.exists() else folder)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="TensorFlow can't load it"):
        created(tmp_path).load()
