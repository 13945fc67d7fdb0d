"""Networks of Transformers: what they answer, and folders and options that are refused."""

import json

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModel, AutoTokenizer, BertForSequenceClassification

from serve_app.errors import ConfigError, InvalidArgument
from serve_app.runtimes.base import create
from serve_app.runtimes.tokenizers import read_recipe
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.texts import TEXTS, config, loaded, save_classifier, texts


@pytest.fixture(scope="module")
def sentences(demo_models):
    return demo_models / "sentences" / "1"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save_classifier(folder)
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
    _, encoder = read_recipe(config(task="embedding"), sentences)
    tokens = encoder.encode(texts(*TEXTS)["text"])
    assert {name: (array.dtype, array.ndim) for name, array in tokens.items()}["input_ids"] == (
        np.int64,
        2,
    )
    here, there = runtime.predict(texts(*TEXTS), {}), runtime.predict(tokens, {})
    assert np.allclose(here["embedding"], there["embedding"], atol=1e-6)
    assert runtime.predict(encoder.encode(texts()["text"]), {})["embedding"].shape == (0, 384)


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
    _, shorter = read_recipe(config(task="text-classification", maxLength=5), classifier)
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
        read_recipe(config(task="embedding"), tmp_path)


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
