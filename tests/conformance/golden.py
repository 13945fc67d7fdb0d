"""What the demo models must answer, computed without any code of the server's."""

import functools

import numpy as np

from tests.server import ROOT

MODELS = ROOT / ".models"
SENTENCES = [
    "A short one.",
    "",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "東京は日本の首都です。",
    "🚀",
    "Models on Ray Serve, behind the Open Inference Protocol. " * 80,  # cut off at 256 tokens
    "word " * 50,
    "a",
]


@functools.cache
def held_out() -> tuple[np.ndarray, np.ndarray]:
    """Pixels FP32 [450, 64] and labels that no demo model was trained on."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(
        pixels.astype(np.float32), labels, test_size=0.25, random_state=0, stratify=labels
    )
    return split[1], split[3]


@functools.cache
def _weights(version: str) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    stored = load_file(MODELS / "digits" / version / "weights.safetensors")
    return {name: array.astype(np.float64) for name, array in stored.items()}


def digits(pixels: np.ndarray, version: str) -> dict[str, np.ndarray]:
    """Both outputs of `digits`, in double precision numpy."""
    weights = _weights(version)
    hidden = pixels.astype(np.float64) / 16 @ weights["hidden.weight"].T + weights["hidden.bias"]
    logits = np.maximum(hidden, 0) @ weights["out.weight"].T + weights["out.bias"]
    odds = np.exp(logits - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    return {"probabilities": odds.astype(np.float32), "label": odds.argmax(1)}


@functools.cache
def _sentence_model():
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(MODELS / "sentences" / "1")
    return torch, AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


@functools.cache
def sentence(text: str) -> np.ndarray:
    """The embedding of one text, FP32 [384], on its own: no padding, no company."""
    torch, tokenizer, network = _sentence_model()
    tokens = tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = network(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1).float()
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(mean, dim=1)[0].numpy()


def sentences(texts: list[str]) -> dict[str, np.ndarray]:
    """The output of `sentences`."""
    return {"embedding": np.stack([sentence(text) for text in texts])}


def text_tensor(texts: list[str]) -> np.ndarray:
    """Texts as BYTES."""
    array = np.empty(len(texts), dtype=object)
    array[:] = [text.encode() for text in texts]
    return array
