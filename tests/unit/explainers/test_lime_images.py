"""LIME of pictures: the region that decides is found, whatever form a picture has."""

import io

import numpy as np
import pytest
from PIL import Image

from serve_app.errors import InvalidArgument
from serve_app.explainers import lime_images
from serve_app.explainers.lime_images import LimeImages, opened
from tests.unit.explainers.asked import Model, asked, options

# 24 x 24: a bright square in one corner, of which the answer is made, and stripes elsewhere.
PICTURE = np.tile(np.linspace(0, 60, 24), (24, 1))
PICTURE[:8, :8] = 200
GREY = PICTURE.astype("f4")


def decides(grey: np.ndarray) -> np.ndarray:
    return grey[:, :8, :8].mean(axis=(1, 2)) / 200


FORMS = {
    "grey": (lambda one: one, lambda some: decides(some)),
    "channel first": (lambda one: one[None], lambda some: decides(some[:, 0])),
    "colours first": (lambda one: np.stack([one] * 3), lambda some: decides(some.mean(axis=1))),
    "colours last": (lambda one: np.stack([one] * 3, -1), lambda some: decides(some.mean(axis=3))),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_region_that_decides(form):
    made, function = FORMS[form]
    seen = set()

    def model(inputs):
        seen.add((inputs["x"].shape[1:], inputs["x"].dtype))
        return function(inputs["x"])

    picture = made(GREY)
    found = LimeImages(32, 20, None).explain(
        {"x": picture[None]}, asked(Model(model)), options(samples=200)
    )
    weights = found["attributions"]
    assert weights.shape == (1, 24, 24)
    assert weights[0, :6, :6].min() > 5 * np.abs(weights[0, 12:, 12:]).max()
    assert seen == {(picture.shape, np.dtype("f4"))}
    assert found["prediction"][0] == pytest.approx(1.0)


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_a_file_s_bytes():
    def model(inputs):
        some = [np.asarray(Image.open(io.BytesIO(one)).convert("L"), "f8") for one in inputs["x"]]
        return decides(np.stack(some))

    array = np.empty(1, dtype=object)
    array[0] = png(GREY)
    found = LimeImages(32, 20, None).explain({"x": array}, asked(Model(model)), options(samples=200))
    weights = found["attributions"][0]
    assert weights[:6, :6].min() > 5 * np.abs(weights[12:, 12:]).max()


def test_the_seed():
    def run(seed):
        model = Model(lambda inputs: decides(inputs["x"]))
        lime = LimeImages(32, 20, None)
        found = lime.explain({"x": GREY[None]}, asked(model), options(samples=50, seed=seed))
        return found["attributions"].tobytes()

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 5)), r"got shape \[1, 5\]"),
        (np.zeros((1, 2, 8, 8)), r"got shape \[1, 2, 8, 8\]"),
        (np.array([b"no picture"], dtype=object), "no picture that can be read"),
    ],
)
def test_what_is_no_picture(array, message):
    with pytest.raises(InvalidArgument, match=message):
        opened("x", array)


def files(*each: bytes) -> np.ndarray:
    found = np.empty(len(each), dtype=object)
    found[:] = each
    return found


def test_a_small_file_that_unpacks_to_too_much_isnt_unpacked():
    out = io.BytesIO()
    Image.new("1", (5000, 5000)).save(out, "PNG")
    with pytest.raises(InvalidArgument, match="more than 16777216 pixels"):
        opened("x", files(out.getvalue()))
    out = io.BytesIO()
    Image.new("1", (3000, 3000)).save(out, "PNG")
    with pytest.raises(InvalidArgument, match="more than 16777216 pixels"):  # both together
        opened("x", files(out.getvalue(), out.getvalue()))
    with pytest.raises(InvalidArgument, match="more than 16777216 pixels"):
        opened("x", np.zeros((1, 5000, 5000), np.uint8))


def test_formats_that_start_programs_arent_read():
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "EPS")
    with pytest.raises(InvalidArgument, match="cannot identify image"):
        opened("x", files(out.getvalue()))


def test_large_pictures_are_asked_about_one_by_one(monkeypatch):
    monkeypatch.setattr(lime_images, "_BATCH_BYTES", 2 * GREY.size * 3 * 8 + 1)
    model = Model(lambda inputs: decides(inputs["x"]))
    LimeImages(32, 20, None).explain({"x": GREY[None]}, asked(model), options(samples=10))
    assert model.batches == [1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "array", [np.zeros((1, 0, 5, 3)), np.zeros((1, 0, 0)), np.full((1, 8, 8), np.nan)]
)
def test_pictures_that_are_none(array):
    with pytest.raises(InvalidArgument, match=r"without pixels|isn't finite"):
        opened("x", array)
