"""`tandem batch CONFIG MODEL INPUT OUTPUT`."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.tools.batch import job as jobs
from serve_app.tools.batch import packed
from serve_app.tools.batch.job import Counts, Job
from serve_app.tools.batch.llm import tokens
from serve_app.tools.batch.pieces import LEAST
from serve_app.tools.batch.progress import Progress
from serve_app.tools.batch.reading import chosen, cut
from serve_app.tools.batch.store import Store
from serve_app.tools.batch.tries import FOLDER
from serve_app.tools.check import load_checked
from serve_app.tools.check.paths import MODEL_PATH, is_path
from serve_app.tools.serve_names import inline

_BATCH = 64  # rows, where neither the command nor the model says


def models_in(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each model of a Serve config by its name, as `build_model` takes it."""
    found: dict[str, dict[str, Any]] = {}
    for app in config["applications"]:
        if is_path(app.get("import_path"), MODEL_PATH):
            found[app["name"]] = {**app["args"], "name": app["name"]}
        for name, one in inline(app).items():
            found[name] = {key: value for key, value in one.items() if key != "placement"}
    return found


def model_of(path: Path, name: str, version: str | None) -> dict[str, Any]:
    """One of them, with one version: the newest, where nothing is said."""
    models = models_in(load_checked(path))
    if name not in models:
        raise ConfigError(f"{path}: no model '{name}'{did_you_mean(name, models)}")
    config = models[name]
    listed = config.get("versions")
    newest = [max(listed, key=lambda one: int(str(one)))] if isinstance(listed, list) else "latest"
    return {**config, "versions": [version] if version else newest}


def run(options: Namespace) -> int:
    """0 when all rows are through, be it that some failed; 1 when none succeeded, or too many failed."""
    config = model_of(options.config, options.model, options.version)
    uri, output = options.input, packed.folder(options.output)
    need("pandas", "batch")  # first of all: what is missing has a name
    kind, files = chosen(uri, options.format)
    store = Store(output)
    if options.overwrite:
        jobs.forget(store)
    about = {
        "the model": config,
        "the input": [list(one) for one in files],
        "the options": [
            kind,
            options.column,
            options.keep,
            options.image_size,
            options.sampling,
            options.chat,
        ],
    }
    about = json.loads(json.dumps(about))
    job = jobs.found(store, about)
    if job is None:
        # An LLM's rows take long, and are in memory until their piece is complete.
        size = options.piece_rows or (LEAST if _is_llm(config) else None)
        pieces = cut(uri, kind, files, size)
        if not pieces:
            raise ConfigError(f"{uri}: no row in it")
        packed.fits(options.output, sum(one.rows for one in pieces))
        job = jobs.begun(store, about, pieces)
    else:
        store.drop_folder(FOLDER)  # who killed that run isn't known
    if job.done:
        ahead = f"{len(job.done)} of {len(job.pieces)} pieces are finished"
        print(f"{output}: {ahead}" + ("; the others follow" if job.left else ""), file=sys.stderr)
    if job.left:
        _compute(job, options, config, kind)
    total = job.finish()
    packed.pack(options.output, store, total)
    said: dict[str, Any] = {"rows": total.rows, "failed": total.failed, "written": options.output}
    if total.failed:
        said["failures"] = packed.failures(options.output) or f"{output}/{jobs.FAILED}"
    print(json.dumps(said))
    return 0 if total.rows else 1


def _is_llm(config: Mapping[str, Any]) -> bool:
    return config.get("modelFormat") == "vllm"


def _compute(job: Job, options: Namespace, config: dict[str, Any], kind: Any) -> None:
    from serve_app.tools.batch.pipeline import Workers, connect, finished
    from serve_app.tools.batch.predict import Work

    batching = config.get("batching") or {}
    work = Work(
        config=config,
        output=job.store.uri,
        batch_size=options.batch_size or batching.get("maxBatchSize") or _BATCH,
        columns=dict(options.column),
        keep=tuple(options.keep),
        size=options.image_size,
        folder=os.getcwd(),
        sampling=tokens(options.sampling),
        chat=options.chat,
    )
    connect(llm=_is_llm(config))
    progress, counts = Progress(job.rows, job.counts()), job.counts()
    try:
        for number, one in finished(job, options.input, kind, work, Workers(*options.concurrency)):
            job.done[number] = one
            counts = progress.add(one)
            _not_too_many(counts, options.max_failed)
    except KeyboardInterrupt:
        raise ConfigError(f"stopped: {progress.line()}; the same command goes on from there") from None
    finally:
        progress.end()


def _not_too_many(counts: Counts, most: int | None) -> None:
    if most is not None and counts.failed > most:
        raise ConfigError(
            f"{counts.failed:,} rows failed, more than --max-failed {most}; they are in _failed"
        )
