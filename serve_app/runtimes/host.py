"""The versions of one model, loaded in this process. The Router hosts inline models, a ModelReplica
its own; both through `ModelHost`."""

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from serve_app.config import Batching, ModelConfig
from serve_app.core.target import Target
from serve_app.errors import ConfigError, TandemError, VersionGone
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.stamps import Stamp, stamps_in
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import candidates
from serve_app.runtimes.one_version import Loaded, check_room, load_version, needed
from serve_app.runtimes.room import measured
from serve_app.runtimes.threads import Threads
from serve_app.runtimes.user_code import changed, stamps
from serve_app.runtimes.version_host import VersionHost

log = logging.getLogger("tandem")

# Formats whose rows have nothing to do with each other: a large request goes in pieces of so many, so
# that others come between them. Of torch, onnx and classes nobody knows that, without `batching`.
_ROW_BY_ROW, _PIECE = ("transformers",), 64
# Keys that change nothing in a version.
_NOT_READ = {"versions": "all", "load_timeout": 60.0, "swap": "beside"}


Files = Mapping[str, object]  # of a version: another one when they are others
Found = Mapping[str, tuple[Path | None, Files]]  # by version, where it lies


@dataclass(eq=False, slots=True)
class _Held:
    """A version in memory, the files that it was read from, as they were, and the bytes that it took."""

    host: VersionHost
    files: Files
    memory: int


class ModelHost:
    """Loads the versions of one model, which share its threads.

    `before` is the host that serves now: the versions that it has as they are wanted are taken over,
    so that nothing happens to them; what it has besides is closed by its `close(keep=this)`.
    `may_lose`, `on_trouble`: of the threads that hang (serve_app.runtimes.threads).
    """

    def __init__(
        self,
        config: ModelConfig,
        gpu: bool = False,
        may_lose: int = 0,
        on_trouble: Callable[[str], None] = lambda reason: None,
        before: "ModelHost | None" = None,
    ) -> None:
        self.config = config
        self.name = config.name or ""
        self.wanted: tuple[str, ...] = ()  # the versions that `load` found, whether they load or not
        self.failed: dict[str, str] = {}  # those that can't be loaded, and why
        self.before = before
        self._gpu, self._hanging = gpu, (may_lose, on_trouble)
        self._held: dict[str, _Held] = {}
        self._sources: Mapping[str, Stamp] = {}
        self._same = before is not None and _read(before.config) == _read(config)
        pool: Threads | None = before._pool if before is not None and self._same else None
        if pool is None or pool.closed:
            pool = Threads(config.concurrency, self.name, config.hang_after, may_lose, on_trouble)
        self._pool: Threads = pool

    def load(self) -> list[Loaded]:
        """Load and warm up each version that isn't there yet as it should be. Blocks.

        Those that can't be loaded are in `failed`. In their places is what they were before, if that is
        there, and where the newest so many are wanted, older ones. ConfigError, of model and version,
        when there is nothing but failures.
        """
        found, older, self.failed = self._found()
        self.wanted = tuple(sorted([*found, *self.failed], key=int))
        done, errors = list[Loaded](), list[ConfigError]()
        old = self.before._held if self.before else {}
        self._held = {version: old[version] for version in self.failed if version in old}
        for version, (folder, files) in [*found.items(), *older.items()]:
            if version in older and len(self._held) >= len(found):
                break
            if self._fresh(version, files):
                self._held[version] = old[version]
                continue
            try:
                done.append(self._load(version, folder, files, old))
            except ConfigError as error:
                errors.append(error)
                self.failed[version] = str(error)
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

    def _load(self, version: str, folder: Path | None, files: Files, old: Mapping[str, _Held]) -> Loaded:
        """One of them, where it fits beside what serves. ConfigError names model and version."""
        config = self.config
        if old:
            before = old.get(version) or old[max(old, key=int)]
            memory = 0 if self._gpu else before.memory
            try:
                check_room(needed(config.model_format, folder, memory), self._gpu, config.swap)
            except ConfigError as error:
                raise ConfigError(f"model '{self.name}' version {version}: {error}") from None
        with measured() as took:
            host, loaded = load_version(config, version, folder, self._pool, self._gpu, files)
        self._held[version] = _Held(host, files, took.memory)
        return loaded

    def _fresh(self, version: str, files: Files) -> bool:
        """Whether what serves has the version as it is wanted, and not as it was before it failed."""
        before = self.before
        if before is None or not self._same or version in before.failed or changed(before._sources):
            return False
        held = before._held.get(version)
        return held is not None and held.files == files

    def plan(self) -> tuple[list[str], list[str]]:
        """The versions of `before` that go when others are loaded, and those others. Blocks."""
        found, _, _ = self._found()
        coming = [version for version, (_, files) in found.items() if not self._fresh(version, files)]
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

    def _found(self) -> tuple[Found, Found, dict[str, str]]:
        """The versions that are wanted, oldest first; where that is the newest so many, those that take
        the place of some that can't be loaded, newest first; and why others can't be had."""
        config = self.config
        if not config.storage_uri:
            version = config.versions[0] if isinstance(config.versions, list) else "1"
            return {version: (None, {})}, {}, {}
        folder = local_folder(config.storage_uri)
        wanted, older, missing = candidates(folder, config.versions)
        reasons = {version: f"model '{self.name}': {why}" for version, why in missing.items()}
        return _stamped(wanted), _stamped(older), reasons

    def changed(self) -> bool:
        """Whether loading would change something: other files or modules of the user's than were read,
        other versions, or one that couldn't be loaded. Blocks."""
        if self.failed or changed(self._sources):
            return True
        try:
            found, _, missing = self._found()
        except (ConfigError, OSError):
            return True  # loading will say what is wrong
        there = {version: files for version, (_, files) in found.items()}
        return bool(missing) or there != {version: held.files for version, held in self._held.items()}

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
            version: Target(predicts=host, uncancellable=host.uncancellable)
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
        for host in self.leaving(keep) if keep else list(self.versions.values()):
            host.close()
        self._held.clear()
        if keep is None or keep._pool is not self._pool:
            self._pool.end_unused()


def _stamped(folders: Mapping[str, Path]) -> Found:
    return {version: (folder, stamps_in([folder])) for version, folder in folders.items()}


def _read(config: ModelConfig) -> ModelConfig:
    """What of a configuration decides how a version is read and run."""
    known = {key: value for key, value in _NOT_READ.items() if key in type(config).model_fields}
    return config.model_copy(update=known)


def origin(error: BaseException) -> BaseException | None:
    """What an error of ours came from, where that is somebody else's and its traceback worth showing."""
    found: BaseException | None = error
    while isinstance(found, TandemError):
        found = found.__cause__
    return found
