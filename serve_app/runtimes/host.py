"""The versions of one model, loaded in this process. The Router hosts inline models, a ModelReplica
its own; both through `ModelHost`."""

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from copy import copy
from pathlib import Path

from serve_app.config import Batching, ModelConfig
from serve_app.core.target import Target
from serve_app.errors import ConfigError, VersionGone
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.progress import Tell, nobody
from serve_app.repository.reasons import passing
from serve_app.repository.stamps import Stamp
from serve_app.repository.storage import Held, hold, state
from serve_app.runtimes.on_loop import on_loop
from serve_app.runtimes.one_version import Loaded, as_read, check_room, load_version, needed, origin
from serve_app.runtimes.room import measured
from serve_app.runtimes.threads import Threads
from serve_app.runtimes.user_code import changed, stamps
from serve_app.runtimes.version_host import There, VersionHost

log = logging.getLogger("tandem")

# Formats whose rows have nothing to do with each other: a large request goes in pieces of so many, so
# that others come between them. Of torch, onnx and classes nobody knows that, without `batching`.
_ROW_BY_ROW, _PIECE = ("transformers",), 64

Found = Mapping[str, Path | None]  # the folder of each version


class ModelHost:
    """Loads the versions of one model, which share its threads.

    `before` is the host that serves now: the versions that it has as they are wanted are taken over,
    so that nothing happens to them; what it has besides is closed by its `close(keep=this)`.
    `may_lose`, `on_trouble`: of the threads that hang (serve_app.runtimes.threads). `tell` hears, in the
    thread that loads, how far files are that have to be fetched. `starting`: its process is, and does
    with what the store said a moment ago, or ever where it says nothing now.
    """

    def __init__(
        self,
        config: ModelConfig,
        gpu: bool = False,
        may_lose: int = 0,
        on_trouble: Callable[[str], None] = lambda reason: None,
        before: "ModelHost | None" = None,
        tell: Tell = nobody,
        starting: bool = False,
    ) -> None:
        self.config = config
        self.name = config.name or ""
        self.wanted: tuple[str, ...] = ()  # the versions that `load` found, whether they load or not
        self.failed: dict[str, str] = {}  # those that can't be loaded, and why
        self.passing = False  # whether some may be loaded later, and nothing is dropped for a try
        self.said = 0.0  # when its files were seen to be what they are here, as `time.time()`
        self.before = before
        self._gpu, self._hanging = gpu, (may_lose, on_trouble)
        self._told = on_loop(lambda: on_trouble(self.trouble))
        self._held: dict[str, There] = {}
        self._tell, self._stop, self._starting = tell, threading.Event(), starting
        self._sources: Mapping[str, Stamp] = {}
        self._same = before is not None and as_read(before.config) == as_read(config)
        self._pool: Threads = before._pool if before and self._same else self._threads()

    def load(self) -> list[Loaded]:
        """Load and warm up each version that isn't there yet as it should be. Blocks.

        Those that can't be loaded are in `failed`. In their places is what they were before, if that is
        there, and where the newest so many are wanted, older ones. ConfigError, of model and version,
        when there is nothing but failures.
        """
        files = self._hold()
        self.said = files.said
        while not self._pool.hold():  # the last version there was given up
            self._pool = self._threads()
        try:
            return self._loaded(files)
        finally:
            self._pool.release()
            files.release()

    def _threads(self) -> Threads:
        return Threads(self.config.concurrency, self.name, self.config.hang_after, *self._hanging)

    def _loaded(self, files: Held) -> list[Loaded]:
        found = self._found(files)
        self.failed = {version: f"model '{self.name}': {why}" for version, why in files.missing.items()}
        if files.checksums:  # they were fetched, by this process or another
            self._tell("loading")
        self.wanted = tuple(sorted([*found, *self.failed], key=int))
        done, errors = list[Loaded](), list[ConfigError]()
        old = self.before._held if self.before else {}
        self._held = {version: old[version] for version in self.failed if version in old}
        for version in [*found, *files.older]:
            if version in files.older and len(self._held) >= len(found):
                break
            try:
                done += self._made(version, found, files, old)
            except ConfigError as error:
                errors.append(error)
                self.failed[version] = str(error)
                self.passing |= self.config.swap == "beside" and passing(error)
                if version in old:  # as it was
                    self._held[version] = old[version]
        self._held = {version: self._held[version] for version in sorted(self._held, key=int)}
        if self.failed and not done and (not self._held or self._held.keys() == old.keys()):
            raise errors[0] if errors else ConfigError(next(iter(self.failed.values())))
        for wrong in errors:
            log.error("%s", wrong, exc_info=origin(wrong))
        if self.config.class_path:
            self._sources = stamps(self.config.class_path)
        return done

    def _made(self, version: str, found: Found, files: Held, old: Mapping[str, There]) -> list[Loaded]:
        """One of them, taken over or loaded. `found`: what is wanted; an older one is fetched first."""
        own = files if version in found else self._hold([version])
        try:
            if self._fresh(version, own):
                self._held[version] = old[version]
                return []
            return [self._load(version, self._found(own)[version], own, old)]
        finally:
            if own is not files:
                own.release()

    def _load(self, version: str, folder: Path | None, files: Held, old: Mapping[str, There]) -> Loaded:
        """One of them, where it fits beside what serves. ConfigError names model and version."""
        config = self.config
        if old:
            before = old.get(version) or old[max(old, key=int)]
            memory = 0 if self._gpu else before.memory
            try:
                check_room(needed(config.model_format, folder, memory), self._gpu, config.swap)
            except ConfigError as error:
                raise type(error)(f"model '{self.name}' version {version}: {error}") from None
        with measured() as took:
            host, loaded = load_version(
                config, version, folder, self._pool, self._gpu, files.files(version), files.told
            )
        if checksum := files.checksums.get(version):
            host.signature.properties["checksum"] = f"sha256:{checksum}"
        files.share()  # it may read more of them
        host.when_closed = files.release
        host.watch(self._told)
        self._held[version] = There(host, files.files(version), took.memory)
        return loaded

    def _fresh(self, version: str, files: Held) -> bool:
        """Whether what serves has the version as it is wanted, and not as it was before it failed."""
        before = self.before
        if before is None or not self._same or version in before.failed or changed(before._sources):
            return False
        held = before._held.get(version)
        return held is not None and held.files == files.files(version)

    def plan(self) -> tuple[list[str], list[str]]:
        """The versions of `before` that go when others are loaded, and those others, whose files are
        here by then. Blocks.
        """
        files = self._hold()
        try:
            found = self._found(files)
            coming = [version for version in found if not self._fresh(version, files)]
        finally:
            files.release()
        staying = found.keys() - set(coming)
        held = self.before._held if self.before else {}
        return [one for one in held if one not in staying] if coming else [], coming

    def without(self, versions: Container[str]) -> "ModelHost":
        """Another one that has all but these, to serve in its place."""
        made = copy(self)
        made._held = {number: held for number, held in self._held.items() if number not in versions}
        made.before = None
        return made

    def restored(
        self, gone: Iterable[str], config: ModelConfig, failed: Mapping[str, str]
    ) -> "ModelHost":
        """Another one that has `gone` again, as it was before they were dropped. Blocks.

        It is to become what `config` says, of which `failed`. ConfigError where that can't be.
        """
        versions = sorted({*self._held, *gone}, key=int)
        said = self.config.model_copy(
            update={"versions": versions if self.config.storage_uri else "all"}
        )
        made = ModelHost(said, self._gpu, *self._hanging, before=self)
        made.load()
        made.config, made.failed, made.before = config, dict(failed), None
        return made

    def _hold(self, versions: list[str] | None = None) -> Held:
        """The files of these versions, or of those that are wanted, fetched if need be. Blocks."""
        config = self.config
        if not config.storage_uri:
            return Held({}, {})
        asker = config.model_dump_json()
        wanted = versions or config.versions
        return hold(config.storage_uri, wanted, self._tell, self._stop, asker, anew=not self._starting)

    def _found(self, files: Held) -> Found:
        """The folders of the versions that there are; of a class without files, the only one."""
        config = self.config
        if config.storage_uri:
            return files.folders
        return {config.versions[0] if isinstance(config.versions, list) else "1": None}

    def changed(self) -> bool:
        """Whether loading would change something: other files or modules of the user's than were read,
        other versions, or one that couldn't be loaded. Blocks."""
        began, uri = time.time(), self.config.storage_uri
        if self.failed or changed(self._sources):
            return True
        try:
            now = state(uri, self.config.versions) if uri else {}
        except (ConfigError, OSError):
            return True  # loading will say what is wrong
        old = {version: held.files for version, held in self._held.items() if uri}
        if "" in now:  # an archive, whose versions are known when it is unpacked
            now = dict.fromkeys(old, now[""])
        if now == old:
            self.said = began
        return now != old

    def give_up(self) -> None:
        """Nobody wants it any more: what is being fetched for it needn't be."""
        self._stop.set()

    @property
    def trouble(self) -> str:
        """Why it refuses predictions; '' while it doesn't."""
        return next(filter(None, (held.host.trouble for held in self._held.values())), "")

    @property
    def versions(self) -> Mapping[str, VersionHost]:
        """What was loaded, oldest first."""
        return {version: held.host for version, held in self._held.items()}

    def targets(self) -> dict[str, Target]:
        """Its versions as the data plane takes them."""
        return {
            version: Target(predicts=host, streams=host.streams, uncancellable=host.uncancellable)
            for version, host in self.versions.items()
        }

    def describe(self, batching: Batching | None, in_flight: int) -> ModelDescription:
        """The description that the data plane works with."""
        return ModelDescription(
            name=self.name,
            platform=self.config.model_format,
            versions={version: host.signature for version, host in self.versions.items()},
            max_batch_size=batching.max_batch_size if batching else 0,
            max_latency=batching.max_latency if batching else 0,
            in_flight=in_flight,
            piece=0 if batching or self.config.model_format not in _ROW_BY_ROW else _PIECE,
            failed=dict(self.failed),
        )

    def version(self, version: str) -> VersionHost:
        """One of them; VersionGone when it isn't there."""
        held = self._held.get(version)
        if held is None:
            raise VersionGone(f"model '{self.name}' has no version '{version}'")
        return held.host

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch on one of them; VersionGone when it isn't there."""
        return await self.version(version).predict(inputs, parameters)

    def recipe(self, version: str) -> bytes:
        """As VersionHost's; VersionGone when it isn't there, ConfigError when it can't be. Blocks."""
        if version in self.failed and version not in self._held:
            raise ConfigError(self.failed[version])
        return self.version(version).recipe()

    def leaving(self, keep: "ModelHost") -> list[VersionHost]:
        """What its successor hasn't taken over."""
        kept = {held.host for held in keep._held.values()}
        return [held.host for held in self._held.values() if held.host not in kept]

    def close(self, keep: "ModelHost | None" = None) -> None:
        """Give back what `keep`, which serves in its place, hasn't, once running predictions are done.

        Blocks.
        """
        self.give_up()
        for host in self.leaving(keep) if keep else list(self.versions.values()):
            host.close()
        self._held.clear()
        if keep is None or keep._pool is not self._pool:
            self._pool.end_unused()
