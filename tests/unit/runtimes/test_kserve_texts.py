"""Answers as KServe's huggingfaceserver documents them, of what Transformers' own network gives for the
same texts, padded together as that server pads them."""

import ast

import numpy as np
import pytest

from serve_app.core import tables
from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import InferRequest, Tensor
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.texts import loaded

WORDS = ["a good film", "bad", "a b c d e good bad"]
KINDS = {
    "embedding": "BertModel",
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "fill-mask": "BertForMaskedLM",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """For each task a folder, and a function that says what the network gives for texts."""
    import torch
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "good", "bad", "film"]
    small = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=16, num_labels=3, initializer_range=0.7,
    )  # fmt: skip
    found = {}
    for task, kind in KINDS.items():
        folder = tmp_path_factory.mktemp(task)
        (folder / "vocab.txt").write_text("\n".join(words))
        tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"))
        tokenizer.save_pretrained(folder)
        torch.manual_seed(1)
        network = getattr(transformers, kind)(small).eval()
        network.save_pretrained(folder, safe_serialization=True)

        def gives(texts, network=network, tokenizer=tokenizer):
            feed = tokenizer(texts, return_tensors="pt", padding=True)
            with torch.inference_mode():
                return feed["attention_mask"].numpy(), network(**feed)[0].numpy()

        found[task] = (folder, gives)
    return found


def answered(saved, task, texts=WORDS, answers="kserve", **options):
    """The one output, held against what the metadata says of it."""
    folder, _ = saved[task]
    runtime = loaded(folder, task=task, answers=answers, **options)
    about = runtime.metadata()
    words = Tensor("whatever", "BYTES", of_bytes([text.encode() for text in texts], (len(texts),)))
    inputs = tables.validated(InferRequest("m", "", "", [words]), about)
    outputs = runtime.predict(inputs, {})
    runtime.close()
    ((name, array),) = outputs.items()
    spec = about.outputs[0]
    assert all(one.optional for one in about.outputs[1:])
    assert (name, spec.name) == ("output-0", "output-0")
    assert spec.accepts(array.shape), (spec.shape, array.shape)
    return spec.datatype, array


def softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def test_embeddings_are_of_64_bits(saved):
    datatype, array = answered(saved, "embedding")
    mask, hidden = saved["embedding"][1](WORDS)
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    assert (datatype, array.dtype) == ("FP64", np.float64)
    np.testing.assert_allclose(array, mean / np.linalg.norm(mean, axis=1, keepdims=True), rtol=1e-5)


def test_the_number_of_the_likeliest_class(saved):
    datatype, array = answered(saved, "text-classification")
    _, logits = saved["text-classification"][1](WORDS)
    assert (datatype, array.tolist()) == ("INT64", logits.argmax(-1).tolist())


def test_probabilities_for_those_who_name_them(saved):
    folder, gives = saved["text-classification"]
    runtime = loaded(folder, task="text-classification", answers="kserve")
    words = {"input-0": of_bytes([text.encode() for text in WORDS], (3,))}
    found = runtime.predict(words, tables.asking_for(["probabilities"], {}))
    np.testing.assert_allclose(found["probabilities"], softmax(gives(WORDS)[1]), rtol=1e-5)
    assert [one.name for one in runtime.metadata().outputs] == ["output-0", "probabilities"]
    assert runtime.metadata().outputs[1].labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    runtime.close()


@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_an_object_for_each_text_or_token(saved, task, kind):
    datatype, array = answered(saved, task, answers=f"kserve-{kind}", maxBatchTokens=12)
    _, logits = saved[task][1](WORDS)
    right = softmax(logits) if kind == "probabilities" else logits
    assert (datatype, array.shape) == ("BYTES", right.shape[:-1])
    for at in np.ndindex(array.shape):
        found = ast.literal_eval(array[at].decode())
        assert list(found) == [0, 1, 2]
        near = 6e-5 if kind == "probabilities" else 1e-5  # four digits, rounded
        np.testing.assert_allclose(list(found.values()), right[at], atol=near)


def test_a_class_for_each_token_and_each_place_behind_a_texts_end(saved):
    datatype, array = answered(saved, "token-classification", maxBatchTokens=12)
    _, logits = saved["token-classification"][1](WORDS)
    assert (datatype, array.shape) == ("INT64", (3, 1, 9))
    assert array[:, 0].tolist() == logits.argmax(-1).tolist()


def test_words_for_masks(saved):
    datatype, array = answered(saved, "fill-mask", ["a [MASK] film", "[MASK] [MASK] bad a"])
    assert datatype == "BYTES"
    assert [len(word.split()) for word in array] == [1, 2]


def test_two_tensors_are_one_too_many(saved):
    folder, _ = saved["embedding"]
    runtime = loaded(folder, task="embedding", answers="kserve")
    words = of_bytes([b"a"], (1,))
    given = [Tensor("a", "BYTES", words), Tensor("b", "BYTES", words)]
    with pytest.raises(InvalidArgument, match="one tensor of texts, got 2"):
        tables.validated(InferRequest("m", "", "", given), runtime.metadata())
    runtime.close()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_weights_of_the_type_that_the_model_names(saved, tmp_path, dtype):
    import json
    import shutil

    shutil.copytree(saved["embedding"][0], tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps({**config, "dtype": dtype}))
    runtime = loaded(tmp_path / "m", task="embedding", dtype="auto")
    assert str(runtime._network.dtype) == f"torch.{dtype}"
    runtime.close()
