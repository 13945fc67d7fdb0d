"""Hugging Face Transformers text models: embeddings and classification, safetensors only.

`TextEncoder` (tokenization) stands apart from the network so that it can run in the Tokenizer
deployment; placed inline, the runtime holds one of its own. `predict` takes either form.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig, TransformersOptions
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.runtimes.base import declared, need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.torch import to_torch, torch_device

TEXT = "text"
_CPU_TOKENS = 256
# Of a text, for each token that the model takes: what follows wouldn't be seen, and costs memory.
_MOST_PER_TOKEN = 64
_MOST_CHARACTERS = 2**20
_LEAST_TOKENS = 64  # per core: below, a pass is mostly what it costs to start one


def trained_for(task: str, about: Any) -> str:
    """Why a network of this `config.json` can't do the task; '' where nothing speaks against it."""
    known = about.get("architectures") if isinstance(about, dict) else None
    names = [str(one) for one in known] if isinstance(known, list) else []
    if task != "text-classification" or not names:
        return ""
    if any(name.endswith("ForSequenceClassification") for name in names):
        return ""
    return (
        f"the network is a {', '.join(names)}, which has no weights for {task}: what it would answer is "
        "random (a …ForSequenceClassification has some; for vectors: task embedding)"
    )


class TextEncoder:
    """Texts to padded token arrays, INT64 [texts, longest]."""

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        options = TransformersOptions.model_validate(config.options)
        library = need("transformers", "transformers")
        library.utils.logging.disable_progress_bar()
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = library.AutoTokenizer.from_pretrained(str(folder), **local)
            self._tokenizer.padding_side = "right"  # `predict` cuts padding off there
            network = library.AutoConfig.from_pretrained(str(folder), **local)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder}: no tokenizer that Transformers can load: {error}") from error
        limits = [self._tokenizer.model_max_length, getattr(network, "max_position_embeddings", None)]
        self._max_length = min(limit for limit in [options.max_length or None, *limits] if limit)
        self._most = min(self._max_length * _MOST_PER_TOKEN, _MOST_CHARACTERS)

    def encode(self, texts: np.ndarray) -> Arrays:
        """Tokenize BYTES [texts]; InvalidArgument when an element isn't UTF-8.

        A text is cut before it is tokenized: the library makes tokens of all of it, and drops most.
        """
        words = []
        for index, item in enumerate(texts.flat):
            try:
                words.append(item.decode()[: self._most])
            except UnicodeDecodeError:
                raise InvalidArgument(f"tensor '{TEXT}': element {index} is not UTF-8") from None
        empty = np.zeros((len(words), 1), dtype=np.int64)
        if not words:
            return {"input_ids": empty, "attention_mask": empty}
        tokens = self._tokenizer(
            words, padding=True, truncation=True, max_length=self._max_length, return_tensors="np"
        )
        if not tokens["input_ids"].shape[1]:  # empty texts, and a tokenizer without special tokens
            return {"input_ids": empty, "attention_mask": empty}
        return {name: np.asarray(array, dtype=np.int64) for name, array in tokens.items()}


def groups(mask: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Row numbers of texts to run together: of like length, at most `max_tokens` with padding."""
    lengths = mask.sum(1)
    order = np.argsort(lengths, kind="stable")[::-1]
    start = 0
    while start < len(order):
        count = max(1, max_tokens // max(1, int(lengths[order[start]]))) if max_tokens else len(order)
        yield order[start : start + count]
        start += count


class TransformersRuntime:
    """One network on one device."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._config = config
        self._options = TransformersOptions.model_validate(config.options)
        self._folder = folder
        self._gpu = gpu
        self._encoder: TextEncoder | None = None
        self._torch: Any = None
        self._network: Any = None
        self._workers: ThreadPoolExecutor | None = None

    def load(self) -> None:
        """Read config and safetensors; nothing else, and no code from the folder."""
        torch = self._torch = need("torch", "transformers")
        library = need("transformers", "transformers")
        library.utils.logging.disable_progress_bar()
        assert self._folder is not None  # the configuration requires storageUri
        if self._options.threads:
            torch.set_num_threads(self._options.threads)
        self._device = torch_device(torch, self._gpu)
        embedding = self._options.task == "embedding"
        auto = library.AutoModel if embedding else library.AutoModelForSequenceClassification
        try:
            with LOADING:
                self._network, loaded = auto.from_pretrained(
                    str(self._folder),
                    output_loading_info=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                    dtype=getattr(torch, self._options.dtype),
                )
        except Exception as error:  # safetensors raises its own type
            raise ConfigError(f"{self._folder}: Transformers can't load it: {error}") from error
        if missing := [] if embedding else sorted(loaded["missing_keys"]):
            about = {"architectures": self._network.config.architectures}
            reason = trained_for(self._options.task, about)
            raise ConfigError(
                f"{self._folder}: no weights for {', '.join(missing[:3])}; "
                + (reason or "they would be random")
            )
        self._network = self._network.to(self._device).eval()
        self._max_tokens = self._options.max_batch_tokens or (0 if self._gpu else _CPU_TOKENS)
        self._threads = 1 if self._gpu else torch.get_num_threads()
        if self._threads > 1:
            # The setting is a thread's own, and that of threads to come; but to put it back here would
            # give MKL's products in the workers several threads again (a fifth slower).
            self._workers = ThreadPoolExecutor(
                self._threads, "transformers", torch.set_num_threads, (1,)
            )

    def encoder(self) -> TextEncoder:
        """The tokenizer of this process, loaded on first use: a remote replica never needs it."""
        if self._encoder is None:
            assert self._folder is not None
            self._encoder = TextEncoder(self._config, self._folder)
        return self._encoder

    def warm_up(self, inputs: Arrays) -> None:
        """One run, tokenization included."""
        self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """`text`, or the token arrays that a Tokenizer made of it, to the task's outputs."""
        tokens = self.encoder().encode(inputs[TEXT]) if TEXT in inputs else inputs
        embedding = self._options.task == "embedding"
        forward, width = (self._embed, "hidden_size") if embedding else (self._odds, "num_labels")
        count = tokens["input_ids"].shape[0]
        out = np.empty((count, getattr(self._network.config, width)), dtype=np.float32)

        def run(rows: np.ndarray) -> None:
            out[rows] = self._run(forward, tokens, rows)

        parts = list(groups(tokens["attention_mask"], self._budget(tokens["attention_mask"])))
        if self._workers is not None and len(parts) > 1:
            list(self._workers.map(run, parts))  # read to the end, so that errors come out
        else:
            for rows in parts:
                run(rows)
        return {"embedding": out} if embedding else self._labelled(out)

    def _budget(self, mask: np.ndarray) -> int:
        """Tokens of one part: small enough that all workers have something to do until the end."""
        if self._workers is None:
            return self._max_tokens
        share = int(mask.sum()) // (2 * self._threads)
        return min(self._max_tokens, max(share, _LEAST_TOKENS))

    def _run(self, forward: Any, tokens: Arrays, rows: np.ndarray) -> np.ndarray:
        torch = self._torch
        longest = max(1, int(tokens["attention_mask"][rows].sum(1).max()))
        part = {name: array[rows, :longest] for name, array in tokens.items()}
        with torch.inference_mode():
            feed = {name: to_torch(torch, array).to(self._device) for name, array in part.items()}
            return forward(feed).cpu().numpy()  # type: ignore[no-any-return]

    def _embed(self, feed: dict[str, Any]) -> Any:
        torch = self._torch
        hidden = self._network(**feed).last_hidden_state.float()
        mask = feed["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        if self._options.normalize:
            mean = torch.nn.functional.normalize(mean, dim=1)
        return mean

    def _odds(self, feed: dict[str, Any]) -> Any:
        return self._network(**feed).logits.float().softmax(-1)

    def _labelled(self, odds: np.ndarray) -> Arrays:
        names = self._network.config.id2label
        labels = np.empty(len(odds), dtype=object)
        labels[:] = [str(names[int(best)]).encode() for best in odds.argmax(-1)]
        return {"probabilities": odds, "label": labels}

    def metadata(self) -> VersionDescription:
        """Texts in; vectors, or probabilities and labels, out."""
        config = self._network.config
        example = next(
            (spec.example for spec in declared(self._config).inputs if spec.name == TEXT), None
        )
        inputs = [TensorSpec(TEXT, "BYTES", (-1,), example=example, text=True)]
        if self._options.task == "embedding":
            return VersionDescription(
                inputs, [TensorSpec("embedding", "FP32", (-1, config.hidden_size))]
            )
        return VersionDescription(
            inputs,
            [
                TensorSpec("probabilities", "FP32", (-1, config.num_labels)),
                TensorSpec("label", "BYTES", (-1,)),
            ],
        )

    def close(self) -> None:
        """Drop network and tokenizer."""
        if self._workers is not None:
            self._workers.shutdown()
        self._network = self._encoder = None
        if self._torch is not None and self._gpu:
            self._torch.cuda.empty_cache()
