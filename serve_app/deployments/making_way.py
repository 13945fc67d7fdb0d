"""`swap: replace`: what serves is dropped before what takes its place is loaded."""

import asyncio
from dataclasses import dataclass, field

from serve_app.config import InlineModel
from serve_app.core.cold import UNKNOWN
from serve_app.protocol.metadata import ModelDescription
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.in_thread import apart


@dataclass(slots=True)
class Way:
    """`gone` were dropped, `rest` serves; `config` is what there was before, and `about` what is said of
    it until it is `over`.
    """

    config: InlineModel
    gone: list[str]
    rest: ModelHost
    about: ModelDescription
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def restored(self, host: ModelHost | None) -> ModelHost:
        """What was dropped, loaded again: what `host` was to become can't be. Blocks."""
        config, failed = (host.config, host.failed) if host else (self.config, {})
        return self.rest.restored(self.gone, config, failed)


async def make_way(host: ModelHost, before: ModelHost) -> Way | None:
    """What has to go before `host` is loaded in the place of `before`; None where nothing has to.

    ConfigError where it can't be loaded in any case, nothing having been dropped.
    """
    gone, coming = await apart(host.plan, f"look-{host.name}")
    host.close(keep=before)
    if not gone:
        return None
    rest, config = before.without(gone), before.config
    assert isinstance(config, InlineModel)
    about = before.describe(config.batching, config.concurrency)
    about.versions |= {number: UNKNOWN for number in coming if number not in about.versions}
    return Way(config, gone, rest, about)
