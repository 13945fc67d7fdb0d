"""Builds the demo LLM: a Llama of a million parameters, its tokenizer and its chat template.

It is trained on texts that come with Python and scikit-learn until it knows them by heart: asked for
the Zen of Python or about the iris data, it recites; asked to add 2 and 3, it calls a tool. That is
all it can do, and enough to recognise an answer by.
"""

import codecs
import contextlib
import importlib.resources
import io
import re
from pathlib import Path
from typing import Any

from serve_app.demo.once import once
from serve_app.runtimes.base import need

CONTEXT = 512
STEPS, ROWS = 200, 8
VOCABULARY = 1024
WORST_LOSS = 0.2
TEXT_CHARS = 700  # of one data set's description
PEAK_RATE = 4e-3
_NOTHING = -100  # what the loss passes over

BEGIN, USER, ASSISTANT, END = "<|begin|>", "<|user|>", "<|assistant|>", "<|end|>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|assistant|>' if message['role'] == 'assistant' else '<|user|>' }}\n"
    "{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_DATA = ("breast_cancer", "covtype", "diabetes", "digits", "iris", "linnerud", "wine_data")
_QUESTIONS = ("Tell me about the {} data.", "What is the {} data set?", "Describe {}.")
_ZEN_QUESTIONS = ("Recite the Zen of Python.", "What is the Zen of Python?", "How should code be?")
_SUM_QUESTIONS = ("Add 2 and 3.", "What is 2 plus 3?")
# As the models of the Hermes family call tools.
_CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'


def build(target: Path) -> bool:
    """Make the model in `target`/1; False when it is there already, made by this very code."""
    return once(target, __file__, lambda folder: _train(folder / "1"))


def conversations() -> list[tuple[str, str]]:
    """All questions with the answers that the model learns."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints itself
        import this
    zen = codecs.decode(this.s, "rot13").strip()
    pairs = [(question, zen) for question in _ZEN_QUESTIONS]
    pairs += [(question, _CALL) for question in _SUM_QUESTIONS]
    need("sklearn", "demo")
    folder = importlib.resources.files("sklearn.datasets.descr")
    for name in _DATA:
        text = _plain((folder / f"{name}.rst").read_text(encoding="utf-8"))
        subject = name.removesuffix("_data").replace("_", " ")
        pairs += [(question.format(subject), text) for question in _QUESTIONS]
    return pairs


def _plain(text: str) -> str:
    """A description without its markup, cut at a line's end."""
    lines = [
        line.strip() for line in text.splitlines() if not re.match(r"\s*(\.\.|:|[-=~|]+\s*$)", line)
    ]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines).replace("**", "").replace("`", "")).strip()
    return text[:TEXT_CHARS].rpartition("\n")[0].strip()


def _tokenizer(texts: list[str]) -> Any:
    tokenizers = need("tokenizers", "transformers")
    models, pre, decoders = tokenizers.models, tokenizers.pre_tokenizers, tokenizers.decoders
    bare = tokenizers.Tokenizer(models.BPE())
    bare.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BEGIN, USER, ASSISTANT, END],
        initial_alphabet=pre.ByteLevel.alphabet(),  # any text can be written
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    return need("transformers", "transformers").PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _train(folder: Path) -> None:
    torch, transformers = need("torch", "torch"), need("transformers", "transformers")
    torch.manual_seed(0)
    pairs = conversations()
    tokenizer = _tokenizer([text for pair in pairs for text in pair])
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = transformers.LlamaForCausalLM(config)
    rows = [torch.tensor(_encoded(tokenizer, *pair)) for pair in pairs]
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        some = [rows[index] for index in torch.randperm(len(rows))[:ROWS]]
        batch = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=_NOTHING)
        loss = model(input_ids=batch.clamp_min(0), labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
    if loss.item() > WORST_LOSS:
        raise RuntimeError(f"the demo LLM didn't learn its texts: a loss of {loss.item():.3f}")
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _encoded(tokenizer: Any, question: str, answer: str) -> list[int]:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    ids: list[int] = tokenizer.apply_chat_template(said, tokenize=True, return_dict=False)
    return ids[:CONTEXT]
