"""A user's class before and behind a model, under a name of its own, as KServe's transformers are:
which there are, and which of two takes the other's place.
"""

import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from serve_app.config.transformer import Transformer
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.graphs.asked import Asker
from serve_app.core.graphs.transformer import Around, TransformerVersion
from serve_app.core.graphs.version import NUMBER, SOURCE, GraphModel
from serve_app.core.later import Again, with_pause
from serve_app.protocol.metadata import Statistics

log = logging.getLogger("tandem")


class Transformers:
    """Those of `plane`. `make`: what runs a class; `spawn` keeps a task."""

    def __init__(
        self,
        plane: DataPlane,
        make: Callable[[Transformer], Around],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._plane, self._make, self._spawn = plane, make, spawn
        self._served: dict[str, TransformerVersion] = {}
        self._wanted: dict[str, Transformer] = {}
        self._begun: dict[str, TransformerVersion] = {}  # the last one of each
        self._again = Again(lambda name: self._begin(self._wanted[name]))

    def configure(self, transformers: Iterable[Transformer]) -> None:
        """Serve these, and no others. One that is what it was stays."""
        known, wanted = self._wanted, {one.name: one for one in transformers}
        self._wanted = wanted
        for name, config in known.items():
            if wanted.get(name) != config:
                self._again.forget(name)
        for name in self._served.keys() - wanted.keys():
            self._plane.directory.remove(name, SOURCE)
            self._served.pop(name).retire()
            self._begun.pop(name)
        for name, config in wanted.items():
            if name not in self._served or self._served[name].config != config:
                self._begin(config)

    @property
    def settled(self) -> bool:
        """Whether those that are wanted were tried."""
        return all(version.tried for version in self._begun.values())

    def read_again(self) -> None:
        """Those whose files changed, and those that couldn't be loaded."""
        self._again.forget_all()
        for name, version in list(self._served.items()):
            wanted, last = self._wanted[name], self._begun[name]
            if last.loading and last.config == wanted and not last.around.changed():
                continue  # however long it takes
            if version.around.changed() or version.reason_of_its_own or version.config != wanted:
                self._begin(wanted)

    def _begin(self, config: Transformer) -> None:
        plane, name = self._plane, config.name
        model = plane.directory.models.get(name)
        if not isinstance(model, GraphModel):
            if model is not None:
                log.error("transformer '%s' isn't served: there is a model of that name", name)
                return
            model = plane.directory.models[name] = GraphModel(
                name, plane.observers, plane.directory.room
            )

        def asker(call: Call, why: bool) -> Asker:
            asked = plane.explain if why else plane.infer
            return Asker(call, plane.directory, asked, plane.awake, plane.refused)

        counters = model.statistics.setdefault(NUMBER, Statistics())
        version = TransformerVersion(
            config, self._make(config), plane.directory, asker, counters, plane.observers
        )
        self._begun[name] = version
        before = self._served.get(name)
        if before is None or before.reason_of_its_own:
            model.put(version)
            self._served[name] = version
        self._spawn(self._take(version, model))

    async def _take(self, version: TransformerVersion, model: GraphModel) -> None:
        """In the place of the one before, if it can be had."""
        name = version.config.name

        def refused(reason: str) -> None:
            if self._latest(version):
                model.refused.refuse(SOURCE, reason)

        good = await version.load(refused)
        before = self._served.get(name)
        if not self._latest(version) and before is not version:  # loaded for longer than it was wanted
            version.retire()
            return
        if good:
            self._again.forget(name)
            if self._latest(version):
                model.refused.accept(SOURCE)
        else:
            log.error("transformer '%s': %s", name, version.reason_of_its_own)
            self._try_again(version)
            refused(version.reason_of_its_own)
        if before is None or before is version:
            return
        if good:
            model.put(version)
            self._served[name] = version
            before.retire()
        else:
            version.retire()

    def _latest(self, version: TransformerVersion) -> bool:
        """Whether it is what is wanted."""
        name = version.config.name
        return self._begun.get(name) is version and self._wanted.get(name) == version.config

    def _try_again(self, version: TransformerVersion) -> None:
        """One that failed for now."""
        name = version.config.name
        if version.around.passing and self._wanted.get(name) == version.config:
            seconds = self._again.later(name)
            version.reason = with_pause(version.reason_of_its_own, seconds)
