"""Live servers for the tests: tests are grouped by the server that they need.

Tests with a server are marked `live`, by the fixtures they use. With several workers each group is
one worker's, and each worker has one server at a time.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _pytest.nodeid import NodeId

from tests.serve.live import ENV, deploy, settled, until
from tests.server import MODES, QUICKSTART, ROOT, Server, Setup


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SERVERS] = []
    config.stash[_RUNNING] = _Running(config)
    # As Ctrl-C: what was started is stopped. `timeout` and a CI that gives up send this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell's job in the background ignores Ctrl-C, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


_SERVERS = pytest.StashKey[list[Server]]()
_RUNNING = pytest.StashKey["_Running"]()


# Behind each of them runs a server; a module that starts one by itself has to say so.
_LIVE = {"server", "start_server", "start_module_server", "llm", "engines"}


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """A module's own LOOPS, or asyncio's alone."""
    found = getattr(getattr(item, "module", None), "LOOPS", None)
    return found or {"asyncio": asyncio.new_event_loop}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Unit tests have none; some call a thing of their own `server`."""
    used = _LIVE.intersection(getattr(item, "fixturenames", ()))
    if used and not item.path.is_relative_to(ROOT / "tests" / "unit"):
        item.add_marker(pytest.mark.live)
    if item.get_closest_marker("live"):
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    if item.path.is_relative_to(ROOT / "tests" / "package"):
        item.add_marker(pytest.mark.no_cover)  # twice the time, for little that others don't cover


def _group(item: pytest.Item) -> str:
    """Tests that share a server, about as many minutes of them in each large group."""
    setup = _setup(item)
    if not setup:
        return item.path.stem
    mode = _mode(setup)
    return mode if mode == "default" else f"{item.path.parent.name}-{mode}"


# The longest first of those who share a server: the short ones fill what is left at the end.
_FIRST = ("serve-throughput", "conformance-throughput", "default")


def _setup(item: pytest.Item) -> str:
    if "server" not in getattr(item, "fixturenames", ()) or not item.get_closest_marker("live"):
        return ""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return str(params.get("server", ""))


def _mode(setup: str) -> str:
    return setup.rpartition("-")[2]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """All tests, and what they import, are there to stay: the collector needn't look at them again and
    again, which takes a third of the time until the first test runs."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()  # what is open and forgotten is told of
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those with a shared server first, one mode after the other; then those with their own or none."""
    if getattr(config.option, "loadgroup", False):
        for item in items:
            # xdist 3.8 writes the group where pytest 9.2 doesn't read it any more.
            for mark in item.iter_markers("xdist_group"):
                item._id = NodeId.parse(f"{item.nodeid}@{mark.args[0]}")
    # Those of one mode together: a server of it serves them all.
    order = sorted(dict.fromkeys(map(_setup, items)), key=_mode)
    items.sort(key=lambda item: order.index(_setup(item)))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if _setup(item):
        group = _group(item)
        return _FIRST.index(group) if group in _FIRST else len(_FIRST)
    return len(_FIRST) + 1 + (item.path.parent.name != "serve")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A shared server is one group's, and in nobody's way who has one of their own, or measures."""
    item.config.stash[_RUNNING].for_group(_group(item) if _setup(item) else "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows the end of the log of every server that runs."""
    report = yield
    if report.failed:
        for server in item.config.stash[_SERVERS]:
            report.sections.append((f"server {server.config.name} ({server.mode})", server.tail()))
    # What is no Unicode (half a pair, say) can't be sent to who runs the workers.
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def demo_models() -> Path:
    """The demo models, built on first use as `make models` does."""
    from serve_app.demo.build import build

    folder = ROOT / ".models"
    build(folder)
    return folder


@pytest.fixture(scope="session", params=[Setup(mode) for mode in MODES], ids=str)
def server(
    request: pytest.FixtureRequest,
    _running: "_Running",
    demo_models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Server:
    """The quickstart in every mode; other `Setup`s by indirect parametrization.

    One server per mode: where it runs already, the config is deployed to it.
    """
    setup: Setup = request.param
    folder = tmp_path_factory.mktemp(str(setup))
    config = setup.write(folder) if setup.write else QUICKSTART
    return _running.serving(config, setup.mode, folder / "server.log")


@pytest.fixture(scope="session")
def _running(request: pytest.FixtureRequest) -> Iterator["_Running"]:
    running = request.config.stash[_RUNNING]
    yield running
    running.stop()


@pytest.fixture
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`start_server(config, mode)`: a server of this test's own."""
    with _Servers(request.config) as servers:
        yield servers.start


@pytest.fixture(scope="module")
def start_module_server(request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """`start_module_server(config, mode)`: a server that a module's tests share."""
    with _Servers(request.config) as servers:
        yield servers.start


class _Running:
    """The one server that `server` speaks of, in the mode of the last test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._servers = _Servers(config)
        self._now: Server | None = None
        self._group = ""

    def for_group(self, group: str) -> None:
        """Other groups' server is stopped."""
        if group != self._group:
            self.stop()
        self._group = group

    def serving(self, config: Path, mode: str, log: Path) -> Server:
        now = self._now
        if now is None or now.mode != mode or not now.alive:
            self.stop()
            self._servers = _Servers(self._config)
            now = self._now = self._servers.start(config, mode, log=log, env=ENV)
        else:
            deploy(now, config)
            until(lambda: settled(now, config), f"{config} deployed", 120)
            now.config = config
        return now

    def stop(self) -> None:
        self._servers.__exit__()
        if self._now is not None:
            assert not self._now.leftovers, "\n".join(self._now.leftovers)
        self._now = None


class _Servers:
    """Started servers, all stopped at the end and known to the failure reports until then."""

    def __init__(self, config: pytest.Config) -> None:
        self._known = config.stash[_SERVERS]
        self._stack = ExitStack()

    def start(self, config: Path | str, mode: str = MODES[0], **options: object) -> Server:
        server = self._stack.enter_context(Server(config, mode, **options))
        self._known.append(server)
        self._stack.callback(self._known.remove, server)
        return server

    def __enter__(self) -> "_Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
