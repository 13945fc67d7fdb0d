"""The Ray Data part: pieces through as many copies of the model as there is room for."""

import logging
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import ray

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.tools.batch.job import Counts, Job
from serve_app.tools.batch.pieces import Kind
from serve_app.tools.batch.predict import Predictor, Work

_LITTLE = 0.1  # of a core, for what only hands on
_CALLS = 2  # of one worker: while one piece is computed another is read, or written


# The last line of a traceback: of ours, and of anybody's.
_OURS = re.compile(r"serve_app\.errors\.\w+: (.+)")
_ANY = re.compile(r"^[\w.]*(?:Error|Exception|Exit): .+", re.MULTILINE)


class Workers(NamedTuple):
    """How many copies of the model: as many as there is room for where nothing is said."""

    least: int | None = None
    most: int | None = None


def connect(llm: bool) -> None:
    """The Ray cluster that there is, or one here; it is quiet."""
    # Ray Data LLM has steps beside the engine: here they share its cores.
    cores = {"num_cpus": max(os.cpu_count() or 1, 4)} if llm and "RAY_ADDRESS" not in os.environ else {}
    ray.init(ignore_reinit_error=True, logging_level="WARNING", log_to_driver=False, **cores)
    data: Any = need("ray.data", "batch")
    context = data.DataContext.get_current()
    context.enable_progress_bars = False  # there is ours
    context.print_on_execution_start = False
    context.target_max_block_size = None  # a piece stays one block
    for name in ("ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def room(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """How many copies of a model the nodes can hold."""
    count = 0
    for node in nodes:
        has = node["Resources"] if node["Alive"] else {}
        fits = [int(has.get(kind, 0) // each) for kind, each in (("CPU", cpus), ("GPU", gpus)) if each]
        count += min(fits) if fits else int(has.get("CPU", 0))
    return count


def copies(workers: Workers, config: RemoteModel, pieces: int, here: int, local: bool) -> Workers:
    """The least and the most there are to be of a model. `here`: how many there is room for now."""
    if not here and (local or workers.least is None):
        raise ConfigError(
            f"no node has room for the model: it asks {config.resources.num_cpus:g} CPUs and "
            f"{config.resources.num_gpus:g} GPUs (`resources`)"
            + (
                ""
                if local
                else "; where nodes come when they are asked for, --concurrency says how many"
            )
        )
    engine = config.model_format == "vllm"
    if engine and not config.resources.num_gpus:
        here = max(1, here - 1)  # the steps beside it need a core
    least, most = workers.least or (1 if engine else here), workers.most or here
    most = min(most, pieces, here if local else most)
    return Workers(min(least, most), most)


def finished(
    job: Job, uri: str, kind: Kind, work: Work, workers: Workers
) -> Iterator[tuple[int, Counts]]:
    """Run what is left of a job: each piece that is finished, as they come."""
    config = RemoteModel.model_validate(work.config)
    run = _by_engines if config.model_format == "vllm" else _by_models
    here = room(ray.nodes(), config.resources.num_cpus, config.resources.num_gpus)
    pool = copies(workers, config, len(job.left), here, "RAY_ADDRESS" not in os.environ)
    try:
        yield from run(job, uri, kind, work, config, pool)
    except Exception as error:
        if isinstance(error, ConfigError):
            raise
        raise ours(error) from error


def _by_engines(
    job: Job, uri: str, kind: Kind, work: Work, config: RemoteModel, pool: Workers
) -> Iterator[tuple[int, Counts]]:
    from serve_app.tools.batch.llm import gathered, processor

    least, most = pool.least or 1, pool.most or 1
    rows = processor(config, work, least, most)(_read(job, uri, kind, num_cpus=_LITTLE))
    yield from gathered(job, work, rows.iter_rows())


def _by_models(
    job: Job, uri: str, kind: Kind, work: Work, config: RemoteModel, pool: Workers
) -> Iterator[tuple[int, Counts]]:
    from ray.data import ActorPoolStrategy

    least, most = pool.least or 1, pool.most or 1
    size: dict[str, int] = {"size": most} if least == most else {"min_size": least, "max_size": most}
    asked = {"num_cpus": config.resources.num_cpus, "num_gpus": config.resources.num_gpus}
    # Readers that ask for what the model asks for, no more and no less, are put into its actors by Ray
    # Data: no core is kept for them, and no row goes from process to process.
    rows = _read(job, uri, kind, **asked).map_batches(
        Predictor,
        fn_constructor_kwargs={"work": work},
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            **size, max_concurrent_calls_per_actor=_CALLS, enable_true_multi_threading=True
        ),
        **asked,
    )
    for one in rows.iter_rows():
        if one["wrong"]:
            raise ConfigError(one["wrong"])
        yield one["piece"], Counts(one["rows"], one["failed"])


def _read(job: Job, uri: str, kind: Kind, **asked: float) -> Any:
    from serve_app.tools.batch.source import Pieces

    data: Any = need("ray.data", "batch")
    return data.read_datasource(Pieces(uri, kind, job.left), override_num_blocks=len(job.left), **asked)


def ours(error: BaseException) -> BaseException:
    """The reason, out of what Ray wraps around it: exceptions of other processes are a text."""
    if not isinstance(error, ray.exceptions.RayError):
        return error
    said = f"{error}\n{error.__cause__ or ''}"
    found = _OURS.findall(said) or _ANY.findall(said)
    return ConfigError(
        found[-1] if found else f"{type(error).__name__}: {said.strip().splitlines()[-1]}"
    )
