"""KServe's model server: `python -m loadtests.kserve --config FILE ...`.

Stock is KServe's defaults. Tuned logs nothing per request and runs on uvloop; KServe has httptools
already, batches nothing in its Python server, and keeps its metrics and timing middleware on.
`--model`, `--storage` and `--host` are for KServe's pods: configs/kserve.
"""

import argparse
import asyncio
import copy
import sys
from collections.abc import Sequence
from typing import Any

from loadtests.hosted import LOOPBACK, MESSAGE_BYTES, close, command_line, load, of_their_own

_EVERYWHERE = "0.0.0.0"


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line: that of every peer, and what a pod needs."""
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--model", default="", help="serve only this one of the config file")
    more.add_argument("--storage", default="", help="where the files of --model are instead")
    more.add_argument("--host", default=LOOPBACK, choices=[LOOPBACK, _EVERYWHERE])
    options = command_line("loadtests.kserve", more, arguments=arguments)
    if options.storage and not options.model:
        raise SystemExit("--storage holds the files of one model: --model says of which")
    return options


def main() -> None:
    """Serve until SIGTERM."""
    options = options_of()
    # KServe reads the process's command line when it is imported, and by its own names.
    sys.argv[1:] = [
        f"--http_port={options.http_port}",
        f"--grpc_port={options.grpc_port}",
        f"--grpc_max_send_message_length={MESSAGE_BYTES}",
        f"--grpc_max_receive_message_length={MESSAGE_BYTES}",
    ]
    if options.tuned:
        sys.argv.append("--enable_latency_logging=false")
        _tune()

    from kserve import ModelServer

    from loadtests.bench.tabular import file
    from loadtests.kserve import tabular as of_kserve
    from loadtests.kserve.model import HostedModel
    from loadtests.kserve.repository import HostedRepository

    if options.host == LOOPBACK:
        _stay_local()
    only = {options.model} if options.model else None
    loaded = load(options.config, only, options.storage)
    tabular = [
        of_kserve.loaded(one.name or "", one.model_format, file(one.model_format, one.storage_uri or ""))
        for one in of_their_own(options.config, only)
    ]
    if only and not loaded and not tabular:
        raise SystemExit(f"{options.config} holds no model '{options.model}'")
    try:
        repository = HostedRepository(options.config, only, options.storage)
        server = ModelServer(workers=1, registered_models=repository)
        server.start([*map(HostedModel, loaded.values()), *tabular])
    finally:
        close(loaded.values())


def _tune() -> None:
    import uvloop
    from kserve.logging import KSERVE_LOG_CONFIG, configure_logging

    # `--event-loop` reaches only servers of several workers; one worker runs on the policy's loop.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())  # KServe asks for one before it runs its own
    quiet = copy.deepcopy(KSERVE_LOG_CONFIG)
    for logger in quiet["loggers"].values():
        logger["level"] = "WARNING"
    # Without a handler uvicorn doesn't even compose the line.
    quiet["loggers"]["uvicorn.access"].update(handlers=[], propagate=False)
    configure_logging(quiet)


def _stay_local() -> None:
    """Listen on 127.0.0.1: KServe listens everywhere and has no setting for it."""
    import uvicorn
    from grpc import aio

    http, grpc = uvicorn.Config, aio.server

    def local_grpc(*args: Any, **options: Any) -> Any:
        server = grpc(*args, **options)
        bind = server.add_insecure_port
        server.add_insecure_port = lambda address: bind(address.replace("[::]", LOOPBACK))
        return server

    uvicorn.Config = lambda *args, **options: http(*args, **{**options, "host": LOOPBACK})  # type: ignore
    aio.server = local_grpc


if __name__ == "__main__":
    main()
