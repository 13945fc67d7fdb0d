"""LIME of texts: the word that decides is found."""

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.explainers.lime_texts import LimeTexts
from tests.unit.explainers.asked import Model, asked, options


def bytes_of(*texts: str) -> np.ndarray:
    found = np.empty(len(texts), dtype=object)
    found[:] = [text.encode() for text in texts]
    return found


def good(inputs):
    """0.9 where the text says `good`, else 0.2."""
    (array,) = inputs.values()
    odds = np.array([0.9 if b"good" in text.split() else 0.2 for text in array.reshape(-1)])
    return np.stack([1 - odds, odds], axis=1)


def explained(*texts: str, seed: int = 3, **more):
    model = Model(good, labels=["bad", "good"])
    return LimeTexts().explain(
        {"text": bytes_of(*texts)}, asked(model), options(seed=seed, samples=300, **more)
    )


def test_the_word_that_decides():
    found = explained("what a good film this was")
    assert found["features"][0, 0] == b"good"
    assert found["attributions"][0, 0] == pytest.approx(0.7, abs=0.05)  # 0.9 without it is 0.2
    assert np.abs(found["attributions"][0, 1:]).max() < 0.05
    assert (found["class"].tolist(), found["label"].tolist()) == ([1], [b"good"])
    assert found["prediction"].tolist() == [0.9]
    assert found["base_value"][0] == pytest.approx(0.2, abs=0.05)


def test_texts_of_different_lengths_end_in_nothing():
    found = explained("a good film", "bad", "...")
    assert found["attributions"].shape == found["features"].shape == (3, 3)
    assert found["features"][1].tolist() == [b"bad", b"", b""]
    assert found["features"][2].tolist() == [b"", b"", b""]
    assert found["attributions"][2].tolist() == [0, 0, 0]
    assert found["base_value"][2] == found["prediction"][2] == pytest.approx(0.8)


def test_the_most_words_and_the_seed():
    text = "what a good film this was"
    found = explained(text, features=2)
    assert found["features"].shape == (1, 2)
    assert found["attributions"].tobytes() == explained(text, features=2)["attributions"].tobytes()
    assert (
        found["attributions"].tobytes() != explained(text, features=2, seed=4)["attributions"].tobytes()
    )


def test_the_model_gets_texts_in_the_shape_that_came():
    shapes = set()

    def model(inputs):
        shapes.add(inputs["text"].shape[1:])
        return good(inputs)

    texts = bytes_of("a good film").reshape(1, 1)
    LimeTexts().explain({"text": texts}, asked(Model(model)), options(samples=20))
    assert shapes == {(1,)}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((1, 2))}, "one tensor of texts, got x"),
        ({"a": bytes_of("x"), "b": bytes_of("y")}, "one tensor of texts, got a, b"),
        ({"a": bytes_of("x", "y").reshape(1, 2)}, "one tensor of texts, got a"),
    ],
)
def test_what_is_no_text(inputs, message):
    with pytest.raises(InvalidArgument, match=message):
        LimeTexts().explain(inputs, asked(Model(good)), options())


def test_what_isnt_unicode():
    array = np.empty(1, dtype=object)
    array[0] = b"\xff"
    with pytest.raises(InvalidArgument, match=r"tensor 'a': .* UTF-8"):
        LimeTexts().explain({"a": array}, asked(Model(good)), options())


def test_more_of_a_long_text_than_fits_into_memory():
    with pytest.raises(InvalidArgument, match="300 perturbed rows of this size"):
        explained("word " * 200_000)


def test_few_words_of_a_long_text_take_no_fit_for_each_word(monkeypatch):
    def each(*_):
        raise AssertionError

    monkeypatch.setattr("lime.lime_base.LimeBase.forward_selection", each)
    text = " ".join(["good", *(f"w{at}" for at in range(150))])
    found = explained(text, features=3)
    assert found["features"].shape == (1, 3)
    assert found["features"][0, 0] == b"good"
    with pytest.raises(AssertionError):  # of a short one it chooses with more care
        explained("a good film", features=1)
