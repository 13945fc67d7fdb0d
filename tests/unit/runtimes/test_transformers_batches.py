"""Texts of a batch are grouped by length and computed beside each other: none may notice."""

import random
import threading

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertTokenizerFast

from serve_app.runtimes.transformers import groups
from tests.unit.runtimes.texts import TEXTS, loaded, save_classifier, texts


@pytest.fixture(scope="module")
def sentences(demo_models):
    return demo_models / "sentences" / "1"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save_classifier(folder)
    return folder


def grouped(lengths: list[int], max_tokens: int) -> list[list[int]]:
    mask = np.arange(max(lengths, default=1)) < np.array(lengths, dtype=int).reshape(-1, 1)
    return [rows.tolist() for rows in groups(mask.astype(np.int64), max_tokens)]


@pytest.mark.parametrize(
    ("lengths", "max_tokens", "expected"),
    [
        ([3, 9, 4, 1], 0, [[1, 2, 0, 3]]),
        ([3, 9, 4, 1], 10, [[1], [2, 0], [3]]),
        ([3, 9, 4, 1], 12, [[1], [2, 0, 3]]),
        ([3, 9, 4, 1], 1, [[1], [2], [0], [3]]),
        ([2, 50, 2], 8, [[1], [2, 0]]),
        ([0, 0], 1, [[1], [0]]),
        ([], 8, []), ([], 0, []),
    ],
    ids=["no bound", "10", "12", "one each", "longer than allowed", "no tokens", "none", "none at all"],
)  # fmt: skip
def test_texts_of_like_length_go_together(lengths, max_tokens, expected):
    assert grouped(lengths, max_tokens) == expected


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 100))
def test_every_text_is_in_one_group_within_the_budget(lengths, max_tokens):
    found = grouped(lengths, max_tokens)
    order = [row for rows in found for row in rows]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    for rows in found:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= max_tokens


@pytest.mark.parametrize("max_tokens", [1, 20, 64, 0])
def test_neither_company_nor_order_changes_an_embedding(sentences, max_tokens):
    words = [*TEXTS, "two words", "a rather long one " * 8, "the same", "the same"]
    runtime = loaded(sentences, task="embedding", maxBatchTokens=max_tokens)
    alone = {word: runtime.predict(texts(word), {})["embedding"][0] for word in words}
    for seed in range(3):
        random.Random(seed).shuffle(words)
        got = runtime.predict(texts(*words), {})["embedding"]
        assert got.dtype == np.float32
        assert np.allclose(got, np.stack([alone[word] for word in words]), atol=1e-5)
    assert runtime.predict(texts(), {})["embedding"].shape == (0, 384)


@pytest.mark.parametrize("max_tokens", [1, 10, 64, 0])
def test_neither_company_nor_order_changes_a_classification(classifier, max_tokens):
    words = ["good film", "bad", "a b c d e unknown", "", "good " * 40, "bad"]
    runtime = loaded(classifier, task="text-classification", maxBatchTokens=max_tokens)
    alone = {word: runtime.predict(texts(word), {}) for word in words}
    for some in (words, words[::-1], words[2:] + words[:2]):
        got = runtime.predict(texts(*some), {})
        odds = np.concatenate([alone[word]["probabilities"] for word in some])
        assert np.allclose(got["probabilities"], odds, atol=1e-6)
        assert got["label"].tolist() == [alone[word]["label"][0] for word in some]


def test_parts_of_a_batch_run_beside_each_other(sentences, monkeypatch):
    runtime = loaded(sentences, task="embedding", threads=2)
    network, together = runtime._network, threading.Barrier(2)

    def pair(**feed):
        together.wait(20)  # nobody else comes if the parts run one after the other
        return network(**feed)

    monkeypatch.setattr(runtime, "_network", Callable(network, pair))
    words = ["one two three " * 15] * 2
    assert runtime.predict(texts(*words), {})["embedding"].shape == (2, network.config.hidden_size)


def test_a_failing_part_fails_the_batch(sentences, monkeypatch):
    runtime = loaded(sentences, task="embedding", threads=2)

    def broken(**feed):
        raise RuntimeError("no memory")

    monkeypatch.setattr(runtime, "_network", Callable(runtime._network, broken))
    with pytest.raises(RuntimeError, match="no memory"):
        runtime.predict(texts(*["one two three " * 15] * 4), {})


class Callable:
    """A network with another forward pass."""

    def __init__(self, network, forward) -> None:
        self.config, self.forward = network.config, forward

    def __call__(self, **feed):
        return self.forward(**feed)


def test_a_tokenizer_that_pads_in_front(classifier, tmp_path):
    for file in classifier.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    BertTokenizerFast.from_pretrained(classifier, padding_side="left").save_pretrained(tmp_path)
    words = ["good film", "a b c d e a b c d e", "bad"]
    for max_tokens in (1, 0):
        runtime = loaded(tmp_path, task="text-classification", maxBatchTokens=max_tokens)
        alone = [runtime.predict(texts(word), {})["probabilities"] for word in words]
        got = runtime.predict(texts(*words), {})["probabilities"]
        assert np.allclose(got, np.concatenate(alone), atol=1e-6)


@pytest.mark.parametrize("words", [["a b", ""], [""]])
def test_a_text_without_tokens(tmp_path, words):
    """A tokenizer that adds no special ones makes nothing of an empty text."""
    plain = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
    plain.pre_tokenizer = Whitespace()
    library = transformers.PreTrainedTokenizerFast
    library(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    small = BertConfig(
        vocab_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(small).eval().save_pretrained(tmp_path, safe_serialization=True)
    runtime = loaded(tmp_path, task="embedding", maxBatchTokens=1)
    got = runtime.predict(texts(*words), {})["embedding"]
    assert np.isfinite(got).all()
    assert got.shape == (len(words), 8)
