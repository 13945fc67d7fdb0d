"""The models of applications, in a Router's directory: asked what they are, served, forgotten."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from serve_app.core.directory import Directory, Model
from serve_app.core.later import Again
from serve_app.core.target import Target
from serve_app.deployments.background import Background
from serve_app.deployments.refusing import Refusing
from serve_app.errors import Unavailable
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual
from serve_app.releases.telling import NEVER, Told, deployed

log = logging.getLogger("tandem")

Described = tuple[ModelDescription, Mapping[str, Target]]
# Asks an application what it is, and says what can be asked of its versions. Raises Unavailable.
Ask = Callable[[RemoteApp], Coroutine[Any, Any, Described]]
# Lets an application's replicas load what changed on disk by a moment; `late`: those alone that haven't
# looked since. Raises nothing.
Refresh = Callable[[RemoteApp, float, bool], Coroutine[Any, Any, Told]]
_BESIDE_S = 0.5  # after which a replica has begun what it said it would


class Applications:
    """Those of `directory`; what became of each is noted in `actual`.

    `settle(model)` gives a model what the configuration decides about it; `find(name)` gives what Serve
    still has; `changed()` is called when one was asked, `turn()` looks for what to do next.
    """

    def __init__(
        self,
        directory: Directory,
        actual: Actual,
        background: Background,
        refusing: Refusing,
        ask: Ask,
        refresh: Refresh | None,
        settle: Callable[[Model], None],
        find: Callable[[str], RemoteApp | None],
        changed: Callable[[], None],
        turn: Callable[[], None],
    ) -> None:
        self._directory, self._actual, self._background = directory, actual, background
        self._refusing, self.ask, self.refresh = refusing, ask, refresh
        self._settle, self._find, self._changed, self._turn = settle, find, changed, turn
        self.ordered = 0.0  # when replicas were last told to look but by a deploy, as `time.time()`
        self._again = Again(self._not_paused)
        self._to_ask: dict[str, asyncio.TimerHandle] = {}
        self.loaded: dict[str, float] = {}  # as they say of their files

    def expect(self, app: RemoteApp, reason: str) -> Model:
        """Name its model, and why it doesn't answer yet."""
        self._actual.expected.add(app.name)
        self._only(app)
        self._explains(app)
        model = self._directory.expect(app.model, app.name, reason)
        self._settle(model)
        return model

    def refuse(self, app: RemoteApp, reason: str) -> None:
        """Nothing of it answers any more."""
        self.expect(app, reason).unavailable(app.name, reason)
        self._actual.described[app.name] = None

    def resize(self, app: RemoteApp) -> None:
        """It has other numbers of replicas."""
        if found := self._directory.models.get(app.model):
            found.resize(app.name, *app.slots(found.in_flight(app.name)))
        self._actual.described[app.name] = app

    def begin(self, app: RemoteApp) -> None:
        """Ask it what it is."""
        self._actual.describing.add(app.name)
        self._actual.expected.add(app.name)
        self._background.spawn(self._describe(app))

    def forget(self, name: str) -> None:
        """It is gone, or gave its name to an inline model, and answers what it has."""
        gone, actual = self._find(name) is None, self._actual
        self._directory.explainers.pop(name, None)
        for model in list(self._directory.models.values()):
            if name in model.sources:
                removed = self._directory.remove(model.name, name, refuse=gone)
                if gone and model.answering():
                    for version in removed:
                        version.abandon()
                self._background.retire(removed)
        actual.expected.discard(name)
        of = actual.described, actual.served, actual.trouble, actual.told, self.loaded
        for known in of:
            known.pop(name, None)
        self._not_to_ask(name)
        self._again.forget(name)
        actual.paused.discard(name)
        self._refusing.forget(name)

    def tell(self, app: RemoteApp) -> None:
        """Let its replicas look at their files: for its last deploy, or those that came up since."""
        self._actual.telling.add(app.name)
        self._background.spawn(self._tell(app))

    async def _tell(self, app: RemoteApp) -> None:
        assert self.refresh
        actual, name = self._actual, app.name
        late = not deployed(app, actual.told)
        self._not_to_ask(name)
        log.info("%s replicas of %s are told to look at their files", "new" if late else "all", name)
        try:
            told = await self.refresh(app, max(app.stamp, self.ordered) if late else app.stamp, late)
        except Exception as error:  # they are told again
            log.exception("replicas of %s can't be told to look at their files", name)
            told = Told(reason=f"{type(error).__name__}: {error}")
        finally:
            actual.telling.discard(name)
        if name not in actual.expected:
            return  # forgotten meanwhile
        actual.told[name] = app.stamp, told.replicas
        if app.replicas <= told.replicas:
            self._again.forget(name)
            actual.paused.discard(name)
        else:  # where they are gone there is nothing more to tell, by then
            actual.paused.add(name)
            self._again.later(name)
        if told.again:
            self._ask_later(name, told.again)
        actual.describing.add(name)
        await self._describe(app, told.reason)

    def _not_paused(self, name: str) -> None:
        self._actual.paused.discard(name)
        self._turn()

    def _ask_later(self, name: str, seconds: float) -> None:
        """Replicas try again by themselves what failed for now: ask all of them what came of it."""

        def ask() -> None:
            stamp, _ = self._actual.told.get(name, (NEVER, None))
            self._actual.told[name] = stamp, frozenset()
            del self._to_ask[name]
            self._turn()

        self._not_to_ask(name)
        self._to_ask[name] = asyncio.get_running_loop().call_later(seconds + _BESIDE_S, ask)

    def _not_to_ask(self, name: str) -> None:
        if (timer := self._to_ask.pop(name, None)) is not None:
            timer.cancel()

    async def _describe(self, app: RemoteApp, reason: str = "") -> None:
        """`reason`: why one of its replicas isn't as it is wanted.

        One that is changing is asked too, where nothing of it is known here: its replicas that run
        serve. It will be asked again when it is settled, and one that fails to answer at the next look.
        """
        actual = self._actual
        try:
            about, targets = await self.ask(app)
            if app.name not in actual.expected:
                return  # forgotten meanwhile
            served = actual.served.get(app.name, frozenset())
            if not app.settled and app.name in actual.ready and about.replica in served:
                return  # one of those that go: they serve until others say what there is
            self._only(app)
            self._explains(app)
            model = self._directory.expect(app.model, app.name)
            self._settle(model)
            replaced = model.serve(app.name, about, targets, *app.slots(about.in_flight))
        except Unavailable as error:
            log.warning("model %s doesn't describe itself yet: %s", app.name, error)
            self._trouble(app, str(error))
            return
        except Exception as error:
            log.exception("model %s can't be served as it describes itself", app.name)
            self._trouble(app, f"{type(error).__name__}: {error}")
            return
        finally:
            actual.describing.discard(app.name)
            self._changed()
        looked = app.settled and not deployed(app, actual.told)  # else it is asked again
        actual.described[app.name] = app if looked else None
        self.loaded[app.name] = about.loaded
        self._refusing.lacking[app.name] = about.failed
        self._refusing.told[app.name] = about.refused or ("" if about.failed else reason)
        if self.refresh:
            actual.told.setdefault(app.name, (NEVER, frozenset()))
            if about.again and app.name not in self._to_ask:
                self._ask_later(app.name, about.again)
            if (timer := self._to_ask.get(app.name)) is not None:
                left = timer.when() - asyncio.get_running_loop().time()
                model.refused.again(app.name, left - _BESIDE_S)
        actual.served[app.name] = app.replicas if app.settled else app.replicas - served
        actual.trouble.pop(app.name, None)
        self._background.retire(replaced)
        self._turn()

    def _trouble(self, app: RemoteApp, reason: str) -> None:
        if app.name in self._actual.expected:
            self._actual.trouble[app.name] = reason
            waiting = f"its application is {app.status}: {reason}"
            self._directory.expect(app.model, app.name, waiting)

    def _explains(self, app: RemoteApp) -> None:
        if app.explains:
            self._directory.explainers[app.name] = app.model, app.explains
        else:
            self._directory.explainers.pop(app.name, None)

    def _only(self, app: RemoteApp) -> None:
        """An application has one model: what it was before, by another name, is gone."""
        for model in list(self._directory.models.values()):
            if model.name != app.model and app.name in model.sources:
                self._directory.remove(model.name, app.name)
