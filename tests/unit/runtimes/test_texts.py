"""Texts become the tokens that Transformers makes of them, by its recipe and without it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as some
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from serve_app.errors import InvalidArgument
from serve_app.runtimes.texts import Recipe, TextEncoder, digest
from serve_app.runtimes.tokenizers import read_recipe
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.texts import TEXTS, config, texts

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
WORDS = ["Beautiful is better than ugly.", "explicit, implicit: déjà vu", "naïve 中文 text 123", "a b c"]
KINDS = {
    "bert": ("bert", transformers.BertTokenizer, "wordpiece"),
    "cased": ("bert", transformers.BertTokenizer, "wordpiece"),
    "roberta": ("roberta", transformers.RobertaTokenizer, "bpe"),
    "xlm-roberta": ("xlm-roberta", transformers.XLMRobertaTokenizer, "unigram"),
    "any": ("distilbert", transformers.PreTrainedTokenizerFast, "bpe"),
}


def trained(kind: str) -> Tokenizer:
    model = {
        "wordpiece": models.WordPiece(unk_token="[UNK]"),
        "bpe": models.BPE(),
        "unigram": models.Unigram(),
    }
    made = Tokenizer(model[kind])
    made.pre_tokenizer = pre_tokenizers.ByteLevel() if kind == "bpe" else pre_tokenizers.Whitespace()
    options = {"vocab_size": 300, "show_progress": False}
    trainer = {
        "wordpiece": trainers.WordPieceTrainer(
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], **options
        ),
        "bpe": trainers.BpeTrainer(
            special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options
        ),
        "unigram": trainers.UnigramTrainer(special_tokens=SPECIAL, unk_token="<unk>", **options),
    }
    made.train_from_iterator(WORDS * 20, trainer[kind])
    return made


def saved(folder, kind: str):
    """A tokenizer's files, and a network's configuration."""
    network, tokenizer, model = KINDS[kind]
    made = trained(model)
    inside = json.loads(made.to_str())["model"]
    given = {"vocab": inside["vocab"]}
    if model == "bpe":
        given["merges"] = [tuple(one) for one in inside["merges"]]
    if model == "unigram":
        given["vocab"] = [tuple(one) for one in inside["vocab"]]
    if kind == "cased":
        given["do_lower_case"] = False
    if kind == "any":
        given = {
            "tokenizer_object": made,
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "model_max_length": 40,
        }
        given["padding_side"] = "left"
    tokenizer(**given).save_pretrained(folder)
    about = transformers.AutoConfig.for_model(network)
    about.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, tmp_path_factory):
    return saved(tmp_path_factory.mktemp(request.param), request.param)


def plain(folder, words: list[str], most: int):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = "right"
    found = tokenizer(words, padding=True, truncation=True, max_length=most, return_tensors="np")
    return {name: array.tolist() for name, array in found.items()}


def ours(encoder: TextEncoder, words: list[str]):
    found = encoder.encode(texts(*words)["text"])
    assert {array.dtype for array in found.values()} == {np.dtype(np.int64)}
    return {name: array.tolist() for name, array in found.items()}


def test_the_tokens_are_transformers(folder):
    recipe, encoder = read_recipe(config(task="embedding", maxLength=9), folder)
    assert recipe is not None
    assert recipe.max_length == 9
    words = [*TEXTS, *WORDS, "</s> [SEP] <mask>", "word " * 50]
    assert ours(encoder, words) == plain(folder, words, 9)
    there = Recipe.unpacked(recipe.packed())
    assert there == recipe
    assert ours(there.encoder(), words) == plain(folder, words, 9)


@settings(max_examples=60, deadline=None)
@given(words=some.lists(some.text(max_size=40), min_size=1, max_size=5))
def test_of_any_texts(demo_models, words):
    here = demo_models / "sentences" / "1"
    words = [word.encode(errors="ignore").decode() for word in words]
    recipe, encoder = read_recipe(config(task="embedding"), here)
    assert ours(encoder, words) == plain(here, words, recipe.max_length)


def test_a_tokenizer_in_python_only(tmp_path):
    transformers.CanineTokenizer().save_pretrained(tmp_path)
    transformers.CanineConfig().save_pretrained(tmp_path)
    recipe, encoder = read_recipe(config(task="embedding", maxLength=7), tmp_path)
    assert recipe.tokenizer == ""
    assert ours(encoder, WORDS) == plain(tmp_path, WORDS, 7)


def test_a_recipe_needs_neither_transformers_nor_torch(demo_models, tmp_path):
    recipe, encoder = read_recipe(config(task="embedding"), demo_models / "sentences" / "1")
    (tmp_path / "recipe").write_bytes(recipe.packed())
    program = (
        "import sys, numpy as np\n"
        "from serve_app.runtimes.texts import Recipe\n"
        f"made = Recipe.unpacked(open({str(tmp_path / 'recipe')!r}, 'rb').read()).encoder()\n"
        "print(made.encode(np.array([b'a tandem'], object))['input_ids'].tolist())\n"
        "print([one for one in ('torch', 'transformers', 'ray') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(ours(encoder, ["a tandem"])["input_ids"]), "[]"]


def test_transformers_comes_without_what_nobody_needs():
    program = (
        "import sys\nfrom serve_app.runtimes.tokenizers import imported\n"
        "library = imported()\nlibrary.AutoModel\nimport transformers.modeling_utils\n"
        "print(*(one in sys.modules for one in ('sklearn', 'scipy.optimize')))\n"
        "print(library.utils.is_sklearn_available(), library.utils.is_scipy_available())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "True True"]


def test_a_text_is_cut_before_it_is_tokenized():
    seen = []

    def noted(words):
        seen.extend(words)
        return {"input_ids": np.ones((len(words), 1))}

    encoder = TextEncoder(noted, 12)
    text = "beautiful is better " * 10**6
    assert encoder.encode(texts(text)["text"])["input_ids"].tolist() == [[1]]
    assert seen == [text[: 12 * 64]]
    with pytest.raises(InvalidArgument, match="element 1 is not UTF-8"):
        encoder.encode(of_bytes([b"a", b"a" * 10**6 + b"\xff"], (2,)))


def test_a_digest_is_of_what_tokenizers_are_made_of(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    first = digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert digest(tmp_path) == first
    (tmp_path / "tokenizer.json").write_text("[]")
    assert digest(tmp_path) != first
