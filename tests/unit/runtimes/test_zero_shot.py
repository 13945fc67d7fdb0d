"""Zero-shot classification and features of tokens, held against Transformers' own pipelines."""

import numpy as np
import pytest

from serve_app.config import ModelConfig, RemoteModel, parse
from serve_app.core.signature import validated
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.tensors import InferRequest, Tensor
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.texts import config, loaded, texts

WORDS = ["a good film", "bad", "a b c d e good bad a b c d e"]
LABELS = ["good", "bad", "film"]
TASK = {"task": "zero-shot-classification", "hypothesis": "a film {} ."}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a tiny BERT by its name, and Transformers' pipelines for it."""
    import transformers
    from transformers import BertConfig, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "good", "bad", "film", "."]
    kinds = {
        "three": ("BertForSequenceClassification", ["contradiction", "neutral", "entailment"]),
        "first": ("BertForSequenceClassification", ["Entails", "not"]),
        "unnamed": ("BertForSequenceClassification", ["a", "b", "c"]),
        "bare": ("BertModel", ["a", "b"]),
    }
    found = {}
    for name, (kind, labels) in kinds.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "vocab.txt").write_text("\n".join(words))
        BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
        transformers.set_seed(3)
        small = BertConfig(
            vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, max_position_embeddings=16, initializer_range=0.9,
            id2label=dict(enumerate(labels)), label2id={one: at for at, one in enumerate(labels)},
        )  # fmt: skip
        getattr(transformers, kind)(small).eval().save_pretrained(folder, safe_serialization=True)
        found[name] = folder
    return found


def pipeline(task, folder):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, model_max_length=16)
    return transformers.pipeline(task, model=str(folder), tokenizer=tokenizer, device="cpu")


def asked(labels=LABELS, words=WORDS):
    rows = of_bytes([label.encode() for _ in words for label in labels], (len(words), len(labels)))
    return texts(*words) | {"labels": rows}


@pytest.mark.parametrize("name", ["three", "first", "unnamed"])
@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("labels", [LABELS, ["good"]])
def test_scores_as_transformers_pipeline_has_them(saved, name, multi, labels):
    runtime = loaded(saved[name], **TASK, multiLabel=multi, maxBatchTokens=30)
    found = runtime.predict(asked(labels), {})
    theirs = pipeline("zero-shot-classification", saved[name])
    for row, text in enumerate(WORDS):
        right = theirs(
            text, candidate_labels=labels, hypothesis_template=TASK["hypothesis"], multi_label=multi
        )
        assert [one.decode() for one in found["labels"][row]] == right["labels"]
        np.testing.assert_allclose(found["scores"][row], right["scores"], rtol=1e-5)
    runtime.close()


def test_labels_of_the_configuration(saved):
    runtime = loaded(saved["three"], **TASK, labels=LABELS)
    about = runtime.metadata()
    assert [(one.name, one.optional) for one in about.inputs] == [("text", False), ("labels", True)]
    assert [one.name for one in about.outputs] == ["labels", "scores"]
    request = InferRequest("m", "", "", [Tensor("text", "BYTES", texts(*WORDS)["text"])])
    found = runtime.predict(validated(request, about), {})
    expected = runtime.predict(asked(), {})
    assert found["labels"].tolist() == expected["labels"].tolist()
    assert found["scores"].tolist() == expected["scores"].tolist()
    runtime.close()


def test_labels_that_dont_fit(saved):
    runtime = loaded(saved["three"], **TASK)
    with pytest.raises(InvalidArgument, match="2 rows, for 3 texts"):
        runtime.predict(asked() | {"labels": asked(words=WORDS[:2])["labels"]}, {})
    with pytest.raises(InvalidArgument, match="1 to 256 a text, got 0"):
        runtime.predict(asked(labels=[]), {})
    with pytest.raises(InvalidArgument, match="got 257"):
        runtime.predict(asked(labels=["a"] * 257), {})
    runtime.close()


def test_a_vector_for_each_token(saved):
    runtime = loaded(saved["bare"], task="feature-extraction", maxBatchTokens=20)
    found = runtime.predict(texts(*WORDS), {})
    theirs = pipeline("feature-extraction", saved["bare"])
    for row, text in enumerate(WORDS):
        (right,) = theirs(text)
        count = found["tokens"][row]
        assert count == len(right)
        np.testing.assert_allclose(found["features"][row, :count], right, rtol=1e-4, atol=1e-5)
        assert not found["features"][row, count:].any()
    specs = runtime.metadata().outputs
    assert [(one.name, one.shape) for one in specs] == [("features", (-1, -1, 8)), ("tokens", (-1,))]
    runtime.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "embedding", "labels": ["a"]}, "options.labels: it is of zero-shot-classification"),
        ({"task": "embedding", "multiLabel": True}, "options.multiLabel: it is of zero-shot"),
        ({**TASK, "hypothesis": "no place"}, "a hypothesis has {} where the class stands"),
        ({**TASK, "answers": "kserve"}, "KServe's server has no zero-shot-classification"),
        (
            {"task": "feature-extraction", "answers": "kserve"},
            "KServe's server has no feature-extraction",
        ),
    ],
)
def test_options_that_contradict(options, said):
    with pytest.raises(ConfigError) as failed:
        config(**options)
    assert said in str(failed.value)


def test_no_tokenizer_of_its_own():
    model = {"modelFormat": "transformers", "storageUri": "x", "options": TASK}
    parse(ModelConfig, model)
    parse(RemoteModel, model | {"tokenizer": {"replicas": 0}})
    with pytest.raises(ConfigError, match="tokenizes in the model's own process"):
        parse(RemoteModel, model | {"tokenizer": {"replicas": 1}})
