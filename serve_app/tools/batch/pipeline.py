"""The Ray Data part: pieces through as many copies of the model as there is room for."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import ray

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError, TandemError
from serve_app.runtimes.base import need
from serve_app.tools.batch.job import Counts, Job
from serve_app.tools.batch.pieces import Kind
from serve_app.tools.batch.predict import Predictor, Work

_CALLS = 2  # of one worker: while one piece is computed another is read, or written


class Workers(NamedTuple):
    """How many copies of the model: as many as there is room for where nothing is said."""

    least: int | None = None
    most: int | None = None


def connect() -> None:
    """The Ray cluster that there is, or one here; it is quiet."""
    ray.init(ignore_reinit_error=True, logging_level="WARNING")
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


def strategy(workers: Workers, config: RemoteModel, pieces: int) -> Any:
    """Ray Data's pool of actors."""
    from ray.data import ActorPoolStrategy

    here = room(ray.nodes(), config.resources.num_cpus, config.resources.num_gpus)
    least, most = workers
    if least is None:
        if not here:
            raise ConfigError(
                f"no node has room for the model: it asks {config.resources.num_cpus:g} CPUs and "
                f"{config.resources.num_gpus:g} GPUs (resources); where nodes come when they are asked "
                "for, --concurrency says how many copies there are to be"
            )
        least = most = here
    assert most is not None
    least, most = min(least, pieces), min(most, pieces)
    size: dict[str, int] = {"size": most} if least == most else {"min_size": least, "max_size": most}
    return ActorPoolStrategy(
        **size, max_concurrent_calls_per_actor=_CALLS, enable_true_multi_threading=True
    )


def finished(
    job: Job, uri: str, kind: Kind, work: Work, workers: Workers
) -> Iterator[tuple[int, Counts]]:
    """Run what is left of a job: each piece that is finished, as they come."""
    from serve_app.tools.batch.source import Pieces

    config, left = RemoteModel.model_validate(work.config), job.left
    asked = {"num_cpus": config.resources.num_cpus, "num_gpus": config.resources.num_gpus}
    # Readers that ask for what the model asks for, no more and no less, are put into its actors by Ray
    # Data: no core is kept for them, and no row goes from process to process.
    source: Any = need("ray.data", "batch").read_datasource(
        Pieces(uri, kind, left), override_num_blocks=len(left), **asked
    )
    rows = source.map_batches(
        Predictor,
        fn_constructor_kwargs={"work": work},
        batch_size=None,
        batch_format="pyarrow",
        compute=strategy(workers, config, len(left)),
        **asked,
    )
    try:
        for one in rows.iter_rows():
            yield one["piece"], Counts(one["rows"], one["failed"])
    except Exception as error:
        raise ours(error) from error


def ours(error: BaseException) -> BaseException:
    """The reason, out of what Ray wraps around it."""
    seen: BaseException | None = error
    while seen is not None:
        cause = getattr(seen, "cause", None)
        for one in (seen, cause):
            if isinstance(one, TandemError):
                return ConfigError(str(one))
        seen = cause if isinstance(cause, BaseException) and cause is not seen else seen.__cause__
    if isinstance(error, ray.exceptions.RayError):
        return ConfigError(f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
    return error
