"""Prompts through an LLM, by Ray Data LLM: an engine in each worker; rows are pieces again later."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError
from serve_app.protocol.tensors import TensorSpec
from serve_app.repository.storage import hold
from serve_app.runtimes.base import need
from serve_app.tools.batch.columns import feeds
from serve_app.tools.batch.job import Counts, Job, write
from serve_app.tools.batch.predict import Work
from serve_app.tools.batch.reading import FILE, PIECE, ROW

PROMPT, MESSAGES = "prompt", "messages"
_ANSWER = ("generated_text", "num_input_tokens", "num_generated_tokens")
_WRONG, _ERROR = "_wrong", "__inference_error__"
_OURS = (PIECE, FILE, ROW)
Row = dict[str, Any]


def asked(work: Work, row: Row) -> Row:
    """What the engine is asked for a row. One that can't be asked is answered with its reason."""
    columns = [name for name in row if name not in _OURS]
    kept = {name: row[name] for name in (*_OURS, *work.keep)}
    sampling: Row = {"sampling_params": dict(work.sampling)}
    if MESSAGES in columns and not work.columns:
        return {**kept, **sampling, MESSAGES: list(row[MESSAGES]), _WRONG: ""}
    column = feeds([TensorSpec(PROMPT, "BYTES", (-1,))], columns, work.columns)[PROMPT]
    prompt, wrong = row[column], ""
    if isinstance(prompt, bytes):
        try:
            prompt = prompt.decode()
        except UnicodeDecodeError:
            wrong = f"'{column}' is not UTF-8"
    if not wrong and not (isinstance(prompt, str) and prompt):
        wrong = f"'{column}' is empty" if prompt in ("", None) else f"'{column}' is no text"
    if wrong:
        prompt, sampling = "-", {"sampling_params": {"max_tokens": 1}}
    text = {MESSAGES: [{"role": "user", "content": prompt}]} if work.chat else {PROMPT: prompt}
    return {**kept, **sampling, **text, _WRONG: wrong}


def answered(work: Work, row: Row) -> Row:
    """What is kept of the engine's row."""
    return {name: row[name] for name in (*_OURS, _WRONG, *work.keep, *_ANSWER)}


def processor(config: RemoteModel, work: Work, least: int, most: int) -> Callable[[Any], Any]:
    """From a dataset of prompts to one of answers."""
    llm: Any = need("ray.data.llm", "llm")
    need("vllm", "llm")
    from serve_app.llm.arguments import FRONT, checked, newest, one_of

    # In use until this process ends; workers on other nodes need the cache's folder to be shared.
    _, model = newest(hold(config.storage_uri or "", one_of(config.versions)))
    settings: dict[str, Any] = {}
    if not config.resources.num_gpus:
        settings["placement_group_config"] = {"bundles": [{"CPU": config.resources.num_cpus}]}
    if config.llm and config.llm.accelerator_type:
        settings["accelerator_type"] = config.llm.accelerator_type
    built: Callable[[Any], Any] = llm.build_processor(
        llm.vLLMEngineProcessorConfig(
            model_source=str(model),
            engine_kwargs={k: v for k, v in checked(config.engine, True).items() if k not in FRONT},
            batch_size=work.batch_size,
            concurrency=(least, most),
            should_continue_on_error=True,
            log_engine_metrics=False,
            # The engine does these itself; each apart would keep a core.
            tokenize_stage=False,
            detokenize_stage=False,
            chat_template_stage={"num_cpus": 0.1, "concurrency": 1} if work.chat else False,
            **settings,
        ),
        preprocess=partial(asked, work),
        postprocess=partial(answered, work),
        preprocess_map_kwargs={"num_cpus": 0.1},
        postprocess_map_kwargs={"num_cpus": 0.1},
    )
    return built


def gathered(job: Job, work: Work, rows: Iterator[Row]) -> Iterator[tuple[int, Counts]]:
    """Each piece, written when its last row is there. In memory are those that are under way."""
    size = {one.number: one.rows for one in job.left}
    waiting: dict[int, list[Row]] = {}
    for row in rows:
        number = row[PIECE]
        waiting.setdefault(number, []).append(row)
        if len(waiting[number]) == size[number]:
            table, failures = outcome(work, waiting.pop(number))
            yield number, write(job.store, number, table, failures)
    if waiting:
        raise ConfigError(
            f"rows of {len(waiting)} pieces are missing: the same command goes on with them"
        )


def outcome(work: Work, rows: list[Row]) -> tuple[Any, list[Row]]:
    """A piece's table (None without a row), and its failures, in the input's order."""
    pa = need("pyarrow", "batch")
    good: list[Row] = []
    failures: list[Row] = []
    for row in sorted(rows, key=lambda one: (one[FILE], one[ROW])):
        reason = row.get(_WRONG) or row.get(_ERROR) or ""
        at = {FILE: row[FILE], ROW: row[ROW]}
        if reason:
            kind = "InvalidArgument" if row.get(_WRONG) else "ModelFailed"
            failures.append({**at, "kind": kind, "reason": reason})
        else:
            good.append({**at, **{name: _text(row[name]) for name in (*work.keep, *_ANSWER)}})
    return (pa.Table.from_pylist(good) if good else None), failures


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def tokens(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's sampling parameters: what isn't said is greedy, and short."""
    return {"temperature": 0, "max_tokens": 128, **sampling}
