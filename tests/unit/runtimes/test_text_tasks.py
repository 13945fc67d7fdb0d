"""Tasks of tokens: what Transformers' own network answers for each text alone is what is right."""

import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.runtimes.base import create
from tests.unit.runtimes.texts import loaded, texts

WORDS = ["a good film", "bad", "a b c d e good bad"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny BERT for each task, and the folder that it lies in."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForTokenClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "good", "bad", "film"]
    small = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    found = {}
    for task, kind in (
        ("token-classification", BertForTokenClassification),
        ("fill-mask", BertForMaskedLM),
    ):
        folder = tmp_path_factory.mktemp(task)
        (folder / "vocab.txt").write_text("\n".join(words))
        tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
        tokenizer.save_pretrained(folder)
        torch.manual_seed(1)
        network = kind(small).eval()
        network.save_pretrained(folder, safe_serialization=True)
        found[task] = (folder, network, tokenizer)
    return found


def best(network, tokenizer, text):
    """Ids of the tokens of a text, and of what the network finds likeliest for each."""
    import torch

    feed = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        return feed["input_ids"][0].numpy(), network(**feed).logits.argmax(-1)[0].numpy()


@pytest.mark.parametrize("task", ["token-classification", "token_classification"])
def test_a_label_for_each_token(saved, task):
    folder, network, tokenizer = saved["token-classification"]
    runtime = loaded(folder, task=task, maxBatchTokens=12)  # in several parts
    labels = runtime.predict(texts(*WORDS), {})["labels"]
    for row, text in zip(labels, WORDS, strict=True):
        _, expected = best(network, tokenizer, text)
        assert row.tolist() == [*expected, *[-100] * (len(row) - len(expected))]
    spec = runtime.metadata().outputs[0]
    assert (spec.name, spec.datatype, spec.shape) == ("labels", "INT64", (-1, -1))
    runtime.close()


def test_words_for_masks(saved):
    folder, network, tokenizer = saved["fill-mask"]
    runtime = loaded(folder, task="fill-mask")
    asked = ["a [MASK] film", "[MASK] [MASK]"]
    found = runtime.predict(texts(*asked), {})["token"]
    for word, text in zip(found, asked, strict=True):
        ids, expected = best(network, tokenizer, text)
        assert word.decode() == tokenizer.decode(expected[ids == tokenizer.mask_token_id])
    with pytest.raises(InvalidArgument, match=r"element 1 has no \[MASK\] to fill"):
        runtime.predict(texts("a [MASK]", "a film"), {})
    assert [(one.name, one.datatype) for one in runtime.metadata().outputs] == [("token", "BYTES")]
    runtime.close()


def test_the_warm_up_of_masks_has_one(saved):
    folder, *_ = saved["fill-mask"]
    runtime = loaded(folder, task="fill-mask")
    example = runtime.metadata().inputs[0].example
    runtime.warm_up({"text": np.array([one.encode() for one in example], dtype=object)})
    runtime.close()


@pytest.mark.parametrize("task", ["token-classification", "text-classification"])
def test_a_network_without_the_task_s_weights(saved, task):
    folder, *_ = saved["fill-mask"]
    config = {"modelFormat": "huggingface", "storageUri": "x", "options": {"task": task}}
    with pytest.raises(ConfigError, match="no weights for"):
        create(parse(ModelConfig, config), folder).load()


def test_a_task_that_is_none():
    config = {"modelFormat": "transformers", "storageUri": "x", "options": {"task": "fill-masc"}}
    with pytest.raises(ConfigError, match="did you mean fill-mask"):
        parse(ModelConfig, config)
