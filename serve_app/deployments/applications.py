"""The models of applications, in a Router's directory: asked what they are, served, forgotten."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from serve_app.core.directory import Directory, Model
from serve_app.core.target import Target
from serve_app.deployments.background import Background
from serve_app.deployments.refusing import Refusing
from serve_app.errors import Unavailable
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual

log = logging.getLogger("tandem")

Described = tuple[ModelDescription, Mapping[str, Target]]
# Asks an application what it is, and says what can be asked of its versions. Raises Unavailable.
Ask = Callable[[RemoteApp], Coroutine[Any, Any, Described]]
# Lets an application's replicas load what changed on disk; why one couldn't, or ''.
Refresh = Callable[[RemoteApp], Coroutine[Any, Any, str]]


class Applications:
    """Those of `directory`; what became of each is noted in `actual`.

    `settle(model)` gives a model what the configuration decides about it; `there(name)` says whether
    Serve still has one; `changed()` is called when one was asked, `turn()` looks for what to do next.
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
        there: Callable[[str], bool],
        changed: Callable[[], None],
        turn: Callable[[], None],
    ) -> None:
        self._directory, self._actual, self._background = directory, actual, background
        self._refusing, self.ask, self.refresh = refusing, ask, refresh
        self._settle, self._there, self._changed, self._turn = settle, there, changed, turn
        self._stamps: dict[str, float] = {}  # of the deploys that were looked at
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
        gone, actual = not self._there(name), self._actual
        self._directory.explainers.pop(name, None)
        for model in list(self._directory.models.values()):
            if name in model.sources:
                removed = self._directory.remove(model.name, name, refuse=gone)
                if gone and model.answering():
                    for version in removed:
                        version.abandon()
                self._background.retire(removed)
        actual.expected.discard(name)
        for known in (actual.described, actual.served, actual.trouble, self._stamps, self.loaded):
            known.pop(name, None)
        self._refusing.forget(name)

    async def _describe(self, app: RemoteApp) -> None:
        """One that is changing is asked too, where nothing of it is known here: its replicas that run
        serve. It will be asked again when it is settled, and one that fails to answer at the next look.
        """
        actual = self._actual
        try:
            reason = ""
            if self.refresh and app.settled and self._stamps.get(app.name, app.stamp) != app.stamp:
                reason = await self.refresh(app)
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
        actual.described[app.name] = app if app.settled else None
        self._stamps[app.name], self.loaded[app.name] = app.stamp, about.loaded
        self._refusing.lacking[app.name] = about.failed
        self._refusing.told[app.name] = about.refused or ("" if about.failed else reason)
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
