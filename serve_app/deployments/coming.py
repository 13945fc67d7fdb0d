"""Inline models that are being loaded: how far their files are, and that nobody wants them any more."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from serve_app.config import InlineModel
from serve_app.runtimes.host import ModelHost


class Coming:
    """The last of each name. `heard` is told on the event loop how far a model's files are."""

    def __init__(self, heard: Callable[[InlineModel, str], None]) -> None:
        self._heard = heard
        self._hosts: dict[str, ModelHost] = {}

    def tells(self, config: InlineModel) -> Callable[[str], None]:
        """Takes what a thread says of a model."""
        loop = asyncio.get_running_loop()

        def tell(said: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(self._heard, config, said)

        return tell

    @contextlib.contextmanager
    def wanted(self, host: ModelHost) -> Iterator[None]:
        """While it is loaded: until it isn't wanted any more, or another in its place is."""
        self.give_up(host.name)
        self._hosts[host.name] = host
        try:
            yield
        finally:
            if self._hosts.get(host.name) is host:
                del self._hosts[host.name]

    def give_up(self, name: str) -> None:
        """It isn't wanted any more."""
        if (host := self._hosts.pop(name, None)) is not None:
            host.give_up()
