"""The load test's checks: right answers pass, wrong ones don't."""

import numpy as np
import pytest

from loadtests import payloads
from loadtests.payloads import WrongAnswer


def test_digits_are_the_servers_kind_of_pixels() -> None:
    sample = payloads.digits("digits")
    pixels = sample.inputs["pixels"]
    assert pixels.dtype == np.float32
    assert pixels.shape[1:] == (64,)
    assert pixels.min() >= 0
    assert pixels.max() <= 16


def test_identity() -> None:
    sample = payloads.identity()
    sent = sample.inputs["x"]
    assert (sent.dtype, sent.shape) == (np.float32, (1, 4))
    sample.check({"x": sent.copy()})
    for wrong in (
        np.nextafter(sent, np.float32(0)),
        sent.astype(np.float64),
        sent[0],
        payloads.identity().inputs["x"],
    ):
        with pytest.raises(WrongAnswer):
            sample.check({"x": wrong})
    with pytest.raises(WrongAnswer):
        sample.check({})


def test_digits() -> None:
    sample = payloads.digits("digits")
    rows = len(sample.inputs["pixels"])
    known = [payloads.PIXELS.tolist().index(row) for row in sample.inputs["pixels"].tolist()]
    odds = np.zeros((rows, 10), dtype=np.float32)
    sample.check({"label": np.array(known), "probabilities": odds})
    for wrong in (np.array(known) + 1, np.array(known * 2), None):
        with pytest.raises(WrongAnswer):
            sample.check({"label": wrong, "probabilities": odds})
    with pytest.raises(WrongAnswer):
        sample.check({"label": np.array(known), "probabilities": odds[:, :9]})


def test_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "_seen", {})
    sample = payloads.sentences()
    unit = np.full((1, 384), 384**-0.5, dtype=np.float32)
    sample.check({"embedding": unit})
    sample.check({"embedding": unit + np.float32(1e-7)})
    for wrong in (
        unit * 1.01,
        unit[:, :383],
        np.roll(np.eye(1, 384, dtype=np.float32), 3),
        unit * np.nan,
    ):
        with pytest.raises(WrongAnswer):
            sample.check({"embedding": wrong})


def test_texts_have_real_lengths() -> None:
    words = sorted(len(text.split()) for text in payloads.TEXTS)
    assert words[0] <= 10
    assert 10 <= words[len(words) // 2] <= 40
    assert 100 <= words[-1] <= 200
