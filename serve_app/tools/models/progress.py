"""How far a load is whose files have to be fetched: a bar on a terminal, else a line now and then."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from serve_app.errors import ConfigError
from serve_app.repository.progress import read
from serve_app.tools.models.service import Refused, Service

LOOK_S = 0.5
LINE_S = 10.0
Draw = Callable[[str], None]


@contextlib.contextmanager
def shown(service: Service, model: str) -> Iterator[None]:
    """On standard error, while a load of `model` is waited for."""
    over = threading.Event()
    with _bar(model) if sys.stderr.isatty() else _lines(model) as draw:
        looking = threading.Thread(target=_look, args=(service, model, draw, over), daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()


def _look(service: Service, model: str, draw: Draw, over: threading.Event) -> None:
    """One Router's word is enough: those of a node fetch together."""
    while not over.wait(LOOK_S):
        with contextlib.suppress(Refused, ConfigError):
            for row in service.index():
                if row["name"] == model and read(row["reason"]):
                    draw(row["reason"])


@contextlib.contextmanager
def _lines(model: str) -> Iterator[Draw]:
    said = 0.0

    def draw(text: str) -> None:
        nonlocal said
        if not said or time.monotonic() - said > LINE_S:
            said = time.monotonic()
            print(f"{model}: {text}", file=sys.stderr, flush=True)

    yield draw


@contextlib.contextmanager
def _bar(model: str) -> Iterator[Draw]:
    """By tqdm, which comes with what fetches from the hub; lines where it isn't there."""
    try:
        from tqdm import tqdm
    except ImportError:
        with _lines(model) as line:
            yield line
        return
    bar: Any = None

    def draw(text: str) -> None:
        nonlocal bar
        done, total = read(text) or (0.0, 0.0)
        if bar is None:
            bar = tqdm(
                desc=model, total=total, initial=done, unit="B", unit_scale=True, leave=False,
                mininterval=0, miniters=0, file=sys.stderr,
            )  # fmt: skip
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield draw
    finally:
        if bar is not None:
            bar.close()
