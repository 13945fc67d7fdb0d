import json
import random
import threading

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
)

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.runtimes.base import create
from serve_app.runtimes.transformers import TextEncoder, groups
from tests.unit.arrays import of_bytes

TEXTS = [
    "a short one",
    "A much longer sentence, with commas, and more words than the first has.",
    "",
    "é",
]


def config(**options) -> ModelConfig:
    return parse(
        ModelConfig, {"modelFormat": "transformers", "storageUri": "unused", "options": options}
    )


def loaded(folder, **options):
    runtime = create(config(**options), folder)
    runtime.load()
    return runtime


def texts(*words: str) -> dict:
    return {"text": of_bytes([word.encode() for word in words], (len(words),))}


@pytest.fixture(scope="module")
def sentences(demo_models):
    return demo_models / "sentences" / "1"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A tiny BERT with random weights and a small vocabulary."""
    folder = tmp_path_factory.mktemp("bert")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["a", "b", "c", "d", "e", "good", "bad", "film"],
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    small = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16, id2label={0: "bad", 1: "fine", 2: "good"},
        label2id={"bad": 0, "fine": 1, "good": 2},
    )  # fmt: skip
    network = BertForSequenceClassification(small).eval()
    network.save_pretrained(folder, safe_serialization=True)
    return folder


def plain_embeddings(folder, words: list[str], normalize: bool, max_length: int) -> np.ndarray:
    """One text at a time, so that there is no padding at all."""
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    for word in words:
        tokens = tokenizer(word, return_tensors="pt", truncation=True, max_length=max_length)
        with torch.no_grad():
            mean = network(**tokens).last_hidden_state[0].mean(0)
        rows.append((mean / mean.norm() if normalize else mean).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("normalize", [True, False])
def test_embeddings_against_plain_transformers(sentences, normalize):
    runtime = loaded(sentences, task="embedding", normalize=normalize, maxLength=12)
    got = runtime.predict(texts(*TEXTS), {})["embedding"]
    assert got.dtype == np.float32
    assert np.allclose(got, plain_embeddings(sentences, TEXTS, normalize, 12), atol=1e-5)
    assert [(s.name, s.datatype, s.shape) for s in runtime.metadata().inputs] == [
        ("text", "BYTES", (-1,))
    ]
    assert [(s.name, s.datatype, s.shape) for s in runtime.metadata().outputs] == [
        ("embedding", "FP32", (-1, 384))
    ]
    assert runtime.predict(texts(), {})["embedding"].shape == (0, 384)


def test_tokens_of_a_tokenizer_elsewhere_give_the_same(sentences):
    runtime = loaded(sentences, task="embedding")
    encoder = TextEncoder(config(task="embedding"), sentences)
    tokens = encoder.encode(texts(*TEXTS)["text"])
    assert {name: (array.dtype, array.ndim) for name, array in tokens.items()}["input_ids"] == (
        np.int64,
        2,
    )
    here, there = runtime.predict(texts(*TEXTS), {}), runtime.predict(tokens, {})
    assert np.allclose(here["embedding"], there["embedding"], atol=1e-6)
    assert runtime.predict(encoder.encode(texts()["text"]), {})["embedding"].shape == (0, 384)


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


def test_half_precision_is_close(sentences):
    full, half = (loaded(sentences, task="embedding", dtype=dtype) for dtype in ("float32", "bfloat16"))
    a, b = (runtime.predict(texts("a short one"), {})["embedding"] for runtime in (full, half))
    assert b.dtype == np.float32
    assert float((a * b).sum()) > 0.99


def test_classification_against_plain_transformers(classifier):
    runtime = loaded(classifier, task="text-classification")
    words = ["good film", "bad", "a b c d e unknown", ""]
    got = runtime.predict(texts(*words), {})
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    network = BertForSequenceClassification.from_pretrained(classifier).eval()
    with torch.no_grad():
        odds = [network(**tokenizer(word, return_tensors="pt")).logits[0].softmax(-1) for word in words]
    assert np.allclose(got["probabilities"], torch.stack(odds).numpy(), atol=1e-6)
    assert got["label"].tolist() == [["bad", "fine", "good"][int(row.argmax())].encode() for row in odds]
    assert [(s.name, s.datatype, s.shape) for s in runtime.metadata().outputs] == [
        ("probabilities", "FP32", (-1, 3)), ("label", "BYTES", (-1,)),
    ]  # fmt: skip
    empty = runtime.predict(texts(), {})
    assert (empty["probabilities"].shape, empty["label"].shape) == ((0, 3), (0,))


def test_long_texts_are_cut_to_what_the_network_takes(classifier):
    runtime = loaded(classifier, task="text-classification")
    assert runtime.predict(texts("a " * 500), {})["probabilities"].shape == (1, 3)
    assert runtime.encoder().encode(texts("a " * 500)["text"])["input_ids"].shape == (1, 16)
    shorter = TextEncoder(config(task="text-classification", maxLength=5), classifier)
    assert shorter.encode(texts("a b c d e")["text"])["input_ids"].shape == (1, 5)


def test_a_text_that_is_not_utf8_is_the_callers_fault(classifier):
    runtime = loaded(classifier, task="text-classification")
    with pytest.raises(InvalidArgument, match="tensor 'text': element 1 is not UTF-8"):
        runtime.predict({"text": of_bytes([b"a", b"\xff"], (2,))}, {})


def test_pickled_weights_are_refused(classifier, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((classifier / name).read_bytes())
    network = BertForSequenceClassification.from_pretrained(classifier)
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="Transformers can't load it"):
        loaded(tmp_path, task="text-classification")


def test_code_in_the_folder_is_not_run(classifier, tmp_path):
    for file in classifier.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    about = json.loads((tmp_path / "config.json").read_text())
    about |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    with pytest.raises(ConfigError):
        loaded(tmp_path, task="embedding")
    assert not (tmp_path / "executed").exists()


def test_an_empty_folder(tmp_path):
    with pytest.raises(ConfigError, match="Transformers can't load it"):
        loaded(tmp_path, task="embedding")
    with pytest.raises(ConfigError, match="no tokenizer that Transformers can load"):
        TextEncoder(config(task="embedding"), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "task: required"), ({"task": "translation"}, "task: .*got 'translation'"),
     ({"task": "embedding", "max_length": 3}, "max_length: unknown key; did you mean maxLength"),
     ({"task": "embedding", "maxBatchTokens": -1}, "maxBatchTokens"),
     ({"task": "embedding", "dtype": "int8"}, "dtype")],
)  # fmt: skip
def test_options_are_checked(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        create(config(**options), tmp_path)


def test_no_progress_bars(sentences):
    loaded(sentences, task="embedding")
    assert not transformers.utils.logging.is_progress_bar_enabled()
