"""Models by name. A model is the versions that answer to its name, from one source or several."""

from collections.abc import Mapping

from serve_app.config import Shadow, did_you_mean
from serve_app.core.answers import Answers
from serve_app.core.cold import ANY, NOWHERE, Cold, Coldness
from serve_app.core.observer import Observers
from serve_app.core.places import Room
from serve_app.core.refusals import Refusals
from serve_app.core.target import Target
from serve_app.core.version import State, Version
from serve_app.errors import NotFound, UnknownModel
from serve_app.protocol.bounds import MOST_IN_NAME
from serve_app.protocol.metadata import EngineDescription, ModelDescription, Statistics
from serve_app.routing import shadowed

INLINE = ""  # the source of inline models; applications' are their names


class Model(Answers):
    """One name.

    Its versions come from sources: an application each, or the Router's own configuration. A source
    is known before its versions are, and `reason` is then why nothing of it answers yet. A source
    whose last change was refused is in `refused`; what it had before goes on.
    """

    def __init__(self, name: str, observers: Observers, room: Room | None = None) -> None:
        super().__init__(name, room)
        self.shadow: Shadow | None = None
        self.statistics: dict[str, Statistics] = {}  # also of versions that may come back
        self.refused = Refusals()
        self.coming = ""  # how far a change is that is being fetched beside what answers
        self._observers = observers
        self._waiting: dict[str, str] = {}  # sources that have no version yet, and why
        self._sources: dict[str, list[Version]] = {}

    def expect(self, source: str, reason: str = "loading") -> None:
        """A source that has nothing yet says why."""
        if source not in self._sources:
            self._waiting[source] = reason

    def serve(
        self,
        source: str,
        about: ModelDescription,
        targets: Mapping[str, Target],
        slots: int = 1,
        spare: int = 0,
    ) -> list[Version]:
        """Put a source's versions in the place of those it had, which are returned, to be drained.

        A version that is what it was stays, with its queue and what it has learned; one without a target
        isn't in memory. All or nothing: what throws leaves everything as it was.
        """
        before = self._sources
        there = {version.number: version for version in before.get(source, ())}
        versions = []
        for number in about.versions:
            target, version = targets.get(number, NOWHERE), there.get(number)
            if version is None or not version.serves(about, target):
                kind = Version if number in targets else Cold
                counters = self.statistics.setdefault(number, Statistics())
                version = kind(self.name, number, about, target, counters, self._observers, slots, spare)
            versions.append(version)
        for version in versions:
            if version in there.values():
                version.resize(slots, spare)
            version.ready()
        self._sources = {**before, source: versions}
        try:
            self._settle()
        except Exception:
            self._sources = before
            raise
        self._waiting.pop(source, None)
        return [version for version in there.values() if version not in versions]

    def resize(self, source: str, slots: int, spare: int = 0) -> None:
        """Change how many batches of a source's versions may be in flight."""
        for version in self._sources.get(source, ()):
            version.resize(slots, spare)

    def unavailable(self, source: str, reason: str) -> None:
        """A source answers no more; what runs may finish."""
        for version in self._sources.get(source, ()):
            version.unavailable(reason)
        self.expect(source, reason)
        self._settle()

    def recovered(self, source: str) -> None:
        """A source that was unavailable answers again."""
        for version in self._sources.get(source, ()):
            if version.state is State.UNAVAILABLE:
                version.ready()
        self._settle()

    def remove(self, source: str, refuse: bool = True) -> list[Version]:
        """A source is gone. Its versions, to be drained; with `refuse`, what waits is refused."""
        removed = self._sources.pop(source, [])
        self._waiting.pop(source, None)
        self.refused.accept(source)
        if refuse:
            for version in removed:
                version.close()
        self._settle()
        return removed

    @property
    def sources(self) -> set[str]:
        """Where its versions come from, or will."""
        return {*self._sources, *self._waiting}

    def answering(self) -> set[str]:
        """The sources of which a version is ready."""
        return {
            source
            for source, versions in self._sources.items()
            if any(version.state is State.READY for version in versions)
        }

    @property
    def remote(self) -> bool:
        """Whether an application has versions of it."""
        return len(self._sources) > (INLINE in self._sources)

    def source_of(self, version: Version) -> str | None:
        """Where a version comes from; None once another has its place."""
        return next((source for source, held in self._sources.items() if version in held), None)

    def in_flight(self, source: str) -> int:
        """Batches that one replica of a source may hold."""
        return next((version.about.in_flight for version in self._sources.get(source, ())), 1)

    @property
    def reason(self) -> str:
        """Why the version that is asked for by default isn't ready; '' when it is."""
        if not self.versions:
            return next(iter(self.waiting.values()), "it was removed")
        return self.why_not()

    @property
    def ready(self) -> bool:
        """Whether the default version can answer."""
        return not self.reason

    @property
    def waiting(self) -> Mapping[str, str]:
        """Sources of which nothing is loaded, and why."""
        due = self.refused.with_due
        return {source: due(source, reason) for source, reason in self._waiting.items()}

    def unshadowed(self) -> str:
        """Why the shadow that is configured gets no copies, or what of it means nothing; else ''."""
        if self.shadow is None or not self.versions or ANY in self.versions:
            return ""
        outputs = {
            number: [spec.name for spec in version.signature.outputs]
            for number, version in self.versions.items()
        }
        return shadowed.refused(self.name, self.shadow, outputs, self.alone())

    def refusal(self) -> str:
        """Why its last change isn't served; '' where it is."""
        # While something of it starts, what is missing may come yet.
        later = "" if self.waiting else next(iter(self.unserved().values()), self.unshadowed())
        return self.refused.reason or later

    def missing(self) -> dict[str, str]:
        """Versions that a refused change was to bring beside those that are there, and why."""
        refused = self.refused.versions(self._sources)
        return {number: reason for number, reason in refused.items() if number not in self.versions}

    def why_old(self, version: Version) -> str:
        """Why the change that was to replace a version was refused; '' where there is none."""
        for source, versions in self._sources.items():
            if version in versions:
                return self.refused.of(source, version.number)
        return ""

    @property
    def engine(self) -> EngineDescription | None:
        """Of an LLM that is known to be one."""
        return self._newest.about.engine if self._newest else None

    def _settle(self) -> None:
        # Of two sources with one number the later, unless it can't answer.
        found: dict[str, Version] = {}
        for one in (one for versions in self._sources.values() for one in versions):
            if one.number not in found or one.state is State.READY:
                found[one.number] = one
        self.versions = {number: found[number] for number in sorted(found, key=_place)}
        self._settled()


def _place(number: str) -> int:
    return int(number or 0)


class Directory:
    """Which models there are."""

    def __init__(self, observers: Observers) -> None:
        self.models: dict[str, Model] = {}
        self.room = Room()
        self.cold = Coldness()
        self.refused = ""  # why the last configuration of inline models and routes isn't served
        self.unloaded: frozenset[str] = frozenset()  # models that are configured, and were unloaded
        self.explainers: dict[str, tuple[str, str]] = {}  # by application: which model, whose explainer
        self._observers = observers

    def refusals(self) -> dict[str, str]:
        """Model by model, why its last change isn't served; '' where it is."""
        return {name: model.refusal() for name, model in self.models.items()}

    @property
    def ready(self) -> bool:
        """Whether all of them can answer."""
        return all(model.ready for model in self.models.values())

    def answering(self) -> set[str]:
        """The applications of which a version is ready."""
        return {source for one in self.models.values() if one.remote for source in one.answering()}

    def model(self, name: str) -> Model:
        """The model; NotFound when there is none of that name."""
        model = self.models.get(name)
        if model is None:
            why = ": it was unloaded" if name in self.unloaded else ""
            raise NotFound(f"no model '{name[:MOST_IN_NAME]}'{why}")
        return model

    def explainer(self, name: str) -> str:
        """The model that explains another one; '' for none. Of several the first by application."""
        found = sorted(app for app, (_, explained) in self.explainers.items() if explained == name)
        return self.explainers[found[0]][0] if found else ""

    def expect(self, name: str, source: str, reason: str = "loading") -> Model:
        """The model, made where it isn't known yet; `reason` until something of `source` answers."""
        model = self.models.get(name)
        if model is None:
            model = self.models[name] = Model(name, self._observers, self.room)
        model.expect(source, reason)
        return model

    def arrived(self, name: str) -> None:
        """What was fetched beside what answers is there, or won't be."""
        if (model := self.models.get(name)) is not None:
            model.coming = ""

    def remove(self, name: str, source: str, refuse: bool = True) -> list[Version]:
        """A source of a model is gone, and the model with its last. Else as Model.remove."""
        model = self.models.get(name)
        if model is None:
            return []
        removed = model.remove(source, refuse)
        if not model.sources:
            del self.models[name]
        return removed

    def engine(self, name: str) -> Model:
        """The LLM that answers to `name`, its own or an adapter's; UnknownModel when none does."""
        model = self.models.get(name)
        if model is not None and (not model.versions or model.engine):
            return model
        known: list[str] = []
        for model in self.engines():
            engine = model.engine
            assert engine is not None
            if name in engine.names or engine.loads(name):
                return model
            known += engine.names
        raise UnknownModel(f"no language model '{name[:MOST_IN_NAME]}'{did_you_mean(name, known)}")

    def engines(self) -> list[Model]:
        """The LLMs that are known to be some, by name, whichever was there first."""
        found = (one for one in self.models.values() if one.engine)
        return sorted(found, key=lambda model: model.name)
