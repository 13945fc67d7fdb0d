"""Transformers as a library, and the tokenizer of a folder as it makes one."""

import importlib
import logging
import sys
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig, TransformersOptions
from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.texts import Recipe, TextEncoder, digest

log = logging.getLogger("tandem")

# What Transformers takes along where it is installed, how it asks whether it is, and where.
_NOT_NEEDED = (
    ("scipy.optimize", "is_scipy_available", "transformers.loss.loss_utils"),
    ("sklearn", "is_sklearn_available", "transformers.generation.candidate_generator"),
)


def imported() -> Any:
    """Transformers. Not with it scikit-learn (a second, 70 MB), of which it takes one function, for a
    way to generate text that nothing here goes, nor SciPy's optimizers, for losses to train with."""
    library = need("transformers", "transformers")
    library.utils.logging.disable_progress_bar()
    with LOADING:
        for package, asked, module in _NOT_NEEDED:
            if package in sys.modules or module in sys.modules:
                continue
            answer = getattr(library.utils, asked)
            setattr(library.utils, asked, lambda: False)
            try:
                importlib.import_module(module)
            finally:
                setattr(library.utils, asked, answer)
    return library


def read_tokenizer(library: Any, folder: Path) -> Any:
    """Transformers' own; ConfigError where there is none."""
    try:
        return library.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no tokenizer that Transformers can load: {error}") from error


def read_recipe(config: ModelConfig, folder: Path) -> tuple[Recipe, TextEncoder]:
    """How texts become tokens; the recipe says so where Transformers has a tokenizer in Python only."""
    options = TransformersOptions.model_validate(config.options)
    library, files = imported(), digest(folder)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = read_tokenizer(library, folder)
    try:
        network = library.AutoConfig.from_pretrained(str(folder), **local)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no tokenizer that Transformers can load: {error}") from error
    tokenizer.padding_side = "right"  # `predict` cuts padding off there
    limits = [tokenizer.model_max_length, getattr(network, "max_position_embeddings", None)]
    most = min(limit for limit in [options.max_length or None, *limits] if limit)
    # Of a pair the second is the sentence about a class, which has to stay whole.
    cut: Any = "only_first" if options.task == "zero-shot-classification" else True
    how: dict[str, Any] = {"padding": True, "truncation": cut, "max_length": most}
    # Asked once, for what it says of itself to hold: no token to pad with, say.
    tokenizer([""], **how)
    if not tokenizer.is_fast:
        log.warning(
            "%s: Transformers has this tokenizer in Python only; the process that uses it loads all of "
            "Transformers, and is slower",
            folder,
        )
        encoder = TextEncoder(lambda words: tokenizer(words, return_tensors="np", **how), most)
        return Recipe("", (), False, most, files), encoder
    recipe = Recipe(
        tokenizer.backend_tokenizer.to_str(),  # as it was just asked: padding and truncation are in it
        tuple(tokenizer.model_input_names),
        bool(tokenizer.split_special_tokens),
        most,
        files,
    )
    return recipe, recipe.encoder()
