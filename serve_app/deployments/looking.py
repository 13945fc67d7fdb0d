"""When an inline model is loaded anew: its files changed, or what failed may go well by now."""

import logging
from collections.abc import Callable, Container, Mapping

from serve_app.core.directory import INLINE, Directory
from serve_app.core.later import Again
from serve_app.releases.reconcile import Actual
from serve_app.repository.reasons import passing
from serve_app.repository.stamps import APART_S
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.in_thread import apart

log = logging.getLogger("tandem")


class Looks:
    """At the models of `hosts`, which serve. `bringing`: those that a request waits for; `trying`: those
    that are tried again, whose reasons hold meanwhile.

    A look that comes while a model is being loaded is made up for when it is there: its files may have
    been read before they changed.
    """

    def __init__(
        self,
        directory: Directory,
        actual: Actual,
        hosts: Mapping[str, ModelHost],
        turn: Callable[[], None],
    ) -> None:
        self._directory, self._actual, self._hosts, self._turn = directory, actual, hosts, turn
        self._again = Again(self._due)
        self._missed: set[str] = set()  # that were to be looked at while they were loaded
        self.bringing: set[str] = set()
        self.trying: set[str] = set()

    async def at_files(self, only: Container[str] | None = None, since: float | None = None) -> bool:
        """Whether something is to be loaded now: models (of these) whose files changed, which are stale
        then, and those that couldn't be loaded.

        `since`: only what was last looked at before that time.
        """
        actual = self._actual
        under_way = {actual.loading, *actual.late, *self.bringing} - {""}
        missed = {name for name in under_way if only is None or name in only}
        self._missed |= missed
        for name, host in list(self._hosts.items()):
            if (only is None or name in only) and (since is None or host.said <= since + APART_S):
                await self._look(name, host)
        actual.stale &= self._hosts.keys()
        if not (actual.stale or missed or (since is None and actual.failed)):
            return False
        self.anew()
        return True

    async def made_up(self, name: str, host: ModelHost) -> None:
        """A model was loaded, and serves: look at it, if it was to be looked at meanwhile."""
        while name in self._missed:
            self._missed.discard(name)
            await self._look(name, host)

    async def _look(self, name: str, host: ModelHost) -> None:
        try:
            changed = await apart(host.changed, f"look-{name}")
        except Exception as error:
            log.warning("model '%s': what it is loaded from can't be looked at: %s", name, error)
            changed = True  # loading will say what is wrong
        if changed:
            self._actual.stale.add(name)

    def anew(self) -> None:
        """Whatever failed is tried at once."""
        self._again.forget_all()
        self.trying.clear()
        for model in self._directory.models.values():
            model.refused.again(INLINE, 0)

    def begins(self, name: str) -> bool:
        """A model is about to be loaded; whether anew, so that no reason of before holds."""
        if name in self.trying:
            return False
        self._again.forget(name)
        if (model := self._directory.models.get(name)) is not None:
            model.refused.again(INLINE, 0)
        return True

    def tried(self, name: str, host: ModelHost | None, error: Exception | None = None) -> None:
        """A model was loaded, or some of it, or nothing for `error`: what failed for now is tried again.

        What was dropped for a try and is there again (`swap: replace`) isn't dropped again and again.
        """
        self.trying.discard(name)
        if error is not None:
            self._missed.discard(name)  # it is loaded anew in any case
        if not (passing(error) or (host is not None and host.passing)):
            self._again.forget(name)
            return
        seconds = self._again.later(name)
        log.info("model '%s' is tried again in %.0f s", name, seconds)
        if (model := self._directory.models.get(name)) is not None:
            model.refused.again(INLINE, seconds)

    def forget(self, name: str) -> None:
        """It isn't wanted any more."""
        self._again.forget(name)
        self.trying.discard(name)
        self._missed.discard(name)

    def _due(self, name: str) -> None:
        self._actual.failed.pop(name, None)
        self.trying.add(name)
        host = self._hosts.get(name)
        if host is not None and host.failed:
            self._actual.stale.add(name)
        self._turn()
