"""Texts, runtimes that take them, and a small network."""

from serve_app.config import ModelConfig, parse
from serve_app.runtimes.base import create
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


def save_classifier(folder) -> None:
    """A tiny BERT with random weights and a small vocabulary."""
    # Here: whoever only collects tests needn't wait for them.
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

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
