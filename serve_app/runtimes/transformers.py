"""Hugging Face Transformers text models: embeddings and classification, safetensors only.

Tokenization (serve_app.runtimes.texts) stands apart from the network so that it can run in the Tokenizer
deployment; placed inline, the runtime does it. `predict` takes either form.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig, TransformersOptions
from serve_app.core import tables
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tables import MATRIX, Table
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.runtimes import kserve_texts, zero_shot
from serve_app.runtimes.base import declared, need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.text_tasks import PADDING, TASKS, answer, example, outputs
from serve_app.runtimes.texts import TEXT, TextEncoder, texts_of
from serve_app.runtimes.tokenizers import imported, read_recipe, read_tokenizer
from serve_app.runtimes.torch import drop_weights, to_torch, torch_device

_CPU_TOKENS = 256
_LEAST_TOKENS = 64  # per core: below, a pass is mostly what it costs to start one


def trained_for(task: str, about: Any) -> str:
    """Why a network of this `config.json` can't do the task; '' where nothing speaks against it."""
    known = about.get("architectures") if isinstance(about, dict) else None
    names = [str(one) for one in known] if isinstance(known, list) else []
    wanted = TASKS[task].trained if task in TASKS else ""
    if not wanted or not names or any(name.endswith(wanted) for name in names):
        return ""
    return (
        f"the network is a {', '.join(names)}, which has no weights for {task}: what it would answer is "
        f"random (a …{wanted} has some; for vectors: task embedding)"
    )


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
        self._task, self._kserve = self._options.task, self._options.answers != "named"
        self._folder = folder
        self._gpu = gpu
        self._encoder: TextEncoder | None = None
        self._recipe = b""
        self._torch: Any = None
        self._tokenizer: Any = None  # Transformers', where numbers become words again
        self._network: Any = None
        self._workers: ThreadPoolExecutor | None = None

    def load(self) -> None:
        """Read config and safetensors; nothing else, and no code from the folder."""
        torch = self._torch = need("torch", "transformers")
        library = imported()
        assert self._folder is not None  # the configuration requires storageUri
        if self._options.threads:
            torch.set_num_threads(self._options.threads)
        self._device = torch_device(torch, self._gpu)
        bare = not TASKS[self._task].trained
        auto = getattr(library, TASKS[self._task].auto)
        if self._task == "fill-mask":
            self._tokenizer = read_tokenizer(library, self._folder)
        try:
            with LOADING:
                self._network, loaded = auto.from_pretrained(
                    str(self._folder),
                    output_loading_info=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                    dtype=self._dtype(library),
                )
        except Exception as error:  # safetensors raises its own type
            raise ConfigError(f"{self._folder}: Transformers can't load it: {error}") from error
        if missing := [] if bare else sorted(loaded["missing_keys"]):
            about = {"architectures": self._network.config.architectures}
            reason = trained_for(self._task, about)
            raise ConfigError(
                f"{self._folder}: no weights for {', '.join(missing[:3])}; "
                + (reason or "they would be random")
            )
        self._network = self._network.to(self._device).eval()
        self._entails = (
            zero_shot.entailment(self._network.config) if self._task == "zero-shot-classification" else 0
        )
        self._max_tokens = self._options.max_batch_tokens or (0 if self._gpu else _CPU_TOKENS)
        self._threads = 1 if self._gpu else torch.get_num_threads()
        if self._threads > 1:
            # The setting is a thread's own, and that of threads to come; but to put it back here would
            # give MKL's products in the workers several threads again (a fifth slower).
            self._workers = ThreadPoolExecutor(
                self._threads, "transformers", torch.set_num_threads, (1,)
            )

    def _dtype(self, library: Any) -> Any:
        if self._options.dtype != "auto":
            return getattr(self._torch, self._options.dtype)
        config = library.AutoConfig.from_pretrained(
            str(self._folder), local_files_only=True, trust_remote_code=False
        )
        found = config.dtype or ("float16" if self._gpu else "float32")
        return getattr(self._torch, found) if isinstance(found, str) else found

    def encoder(self) -> TextEncoder:
        """The tokenizer of this process, on first use: a remote replica only says how it is made."""
        if self._encoder is None:
            assert self._folder is not None
            recipe, self._encoder = read_recipe(self._config, self._folder)
            self._recipe = recipe.packed()
        return self._encoder

    def recipe(self) -> bytes:
        """How others make one, packed."""
        self.encoder()
        return self._recipe

    def warm_up(self, inputs: Arrays) -> None:
        """One run, tokenization included."""
        self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """`text`, or the token arrays that a Tokenizer made of it, to the task's outputs."""
        if self._task == "zero-shot-classification":
            labels = zero_shot.labels_of(inputs, self._options)
            pairs = zero_shot.pairs(inputs[TEXT], labels, self._options.hypothesis)
            logits = self._given(self.encoder().encode_pairs(pairs))
            return zero_shot.answer(logits, labels, self._entails, self._options.multi_label)
        words = texts_of(inputs)
        tokens = inputs if words is None else self.encoder().encode(words)
        out = self._given(tokens)
        if self._kserve:
            found = kserve_texts.answer(self._task, self._options.answers, out, tokens, self._tokenizer)
            if kserve_texts.PROBABILITIES in tables.asked(parameters):
                found[kserve_texts.PROBABILITIES] = out
            return found
        return answer(self._task, out, tokens, self._network.config, self._tokenizer)

    def _given(self, tokens: Arrays) -> np.ndarray:
        """What the network gives for each row of tokens."""
        forward, out = self._way(tokens)
        whole = self._kserve and self._task == "token-classification"

        def run(rows: np.ndarray) -> None:
            found = self._run(forward, tokens, rows, whole)
            out[rows, : found.shape[1]] = found

        parts = list(groups(tokens["attention_mask"], self._budget(tokens["attention_mask"])))
        if self._workers is not None and len(parts) > 1:
            list(self._workers.map(run, parts))  # read to the end, so that errors come out
        else:
            for rows in parts:
                run(rows)
        return out

    def _way(self, tokens: Arrays) -> tuple[Any, np.ndarray]:
        """What runs, and the room for what it gives."""
        shape, config = tokens["input_ids"].shape, self._network.config
        if self._task == "embedding":
            return self._embed, np.empty((shape[0], config.hidden_size), np.float32)
        if self._task == "feature-extraction":
            return self._hidden, np.zeros((*shape, config.hidden_size), np.float32)
        values = self._options.answers in kserve_texts.VALUES
        if TASKS[self._task].tokens and not (values and self._task == "token-classification"):
            return self._best, np.full(shape, PADDING)
        shape = shape if TASKS[self._task].tokens else shape[:1]
        raw = self._options.answers == "kserve-logits" or self._task == "zero-shot-classification"
        forward = self._logits if raw else self._odds
        return forward, np.empty((*shape, config.num_labels), np.float32)

    def _budget(self, mask: np.ndarray) -> int:
        """Tokens of one part: small enough that all workers have something to do until the end."""
        if self._workers is None:
            return self._max_tokens
        share = int(mask.sum()) // (2 * self._threads)
        return min(self._max_tokens, max(share, _LEAST_TOKENS))

    def _run(self, forward: Any, tokens: Arrays, rows: np.ndarray, whole: bool) -> np.ndarray:
        """`whole`: what stands behind a text's end is answered, too, as KServe does."""
        torch = self._torch
        mask = tokens["attention_mask"]
        longest = mask.shape[1] if whole else max(1, int(mask[rows].sum(1).max()))
        part = {name: array[rows, :longest] for name, array in tokens.items()}
        with torch.inference_mode():
            feed = {name: to_torch(torch, array).to(self._device) for name, array in part.items()}
            return forward(feed).cpu().numpy()  # type: ignore[no-any-return]

    def _hidden(self, feed: dict[str, Any]) -> Any:
        hidden = self._network(**feed).last_hidden_state.float()
        return hidden * feed["attention_mask"].unsqueeze(-1)

    def _embed(self, feed: dict[str, Any]) -> Any:
        torch = self._torch
        hidden = self._network(**feed).last_hidden_state.float()
        mask = feed["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        if self._options.normalize:
            mean = torch.nn.functional.normalize(mean, dim=1)
        return mean

    def _logits(self, feed: dict[str, Any]) -> Any:
        return self._network(**feed).logits.float()

    def _odds(self, feed: dict[str, Any]) -> Any:
        return self._logits(feed).softmax(-1)

    def _best(self, feed: dict[str, Any]) -> Any:
        return self._network(**feed).logits.argmax(-1)

    def metadata(self) -> VersionDescription:
        """Texts in; vectors, or probabilities and labels, out."""
        config, name = self._network.config, MATRIX if self._kserve else TEXT
        said = next((spec.example for spec in declared(self._config).inputs if spec.name == name), None)
        said = said or example(self._task, self._tokenizer)
        inputs = [TensorSpec(name, "BYTES", (-1,), example=said, text=True)]
        if self._task == "zero-shot-classification":
            return VersionDescription(zero_shot.inputs(self._options, inputs[0]), zero_shot.outputs())
        if not self._kserve:
            return VersionDescription(inputs, outputs(self._task, config))
        answers = self._options.answers
        out = [kserve_texts.output(self._task, answers, config)]
        out += kserve_texts.more(self._task, answers, config)
        literal = answers in kserve_texts.VALUES
        return VersionDescription(inputs, out, {}, Table(texts=True), literal=literal)

    def close(self) -> None:
        """Drop network and tokenizer."""
        if self._workers is not None:
            self._workers.shutdown()
        network, self._network, self._encoder = self._network, None, None
        drop_weights(self._torch, network, self._gpu)
