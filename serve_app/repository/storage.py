"""A `storageUri` as local folders: those of this machine as they are, others out of the node's cache."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from serve_app.config import Versions
from serve_app.errors import ConfigError
from serve_app.redact import redacted
from serve_app.repository.addresses import ROOT_VARIABLE, Address, address
from serve_app.repository.cache import Entry, NodeCache
from serve_app.repository.fetching import asked, fetched, inside, wanted
from serve_app.repository.here import existing
from serve_app.repository.listings import FRESH_S, Listing
from serve_app.repository.manifests import Manifest
from serve_app.repository.progress import Tell, nobody
from serve_app.repository.reasons import Changed, Unreachable
from serve_app.repository.stamps import stamps_in
from serve_app.repository.stores import store
from serve_app.repository.versions import candidates

__all__ = ["ROOT_VARIABLE", "Held", "hold", "local_folder", "local_path", "names_in", "pinned", "state"]

log = logging.getLogger("tandem")

# By version, what is another when its content is; of an archive, whose versions aren't known before it
# is here, by ''.
State = Mapping[str, object]
_AGAIN = 3  # listings of what is changed while it is fetched


class Held:
    """A model's version folders, which stay until all who share them have released them; `state` as they
    were found.

    `checksums`: of those that were fetched (`manifests.digest`); `missing`: why versions that are asked
    for can't be had; `older`: versions that may take the place of some that can't be loaded. `said`: as
    it was at that time (`time.time()`). `names`: how places in the node's cache are called.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        state: State,
        checksums: Mapping[str, str] | None = None,
        entries: tuple[Entry, ...] = (),
        missing: Mapping[str, str] | None = None,
        older: Iterable[str] = (),
        said: float = 0.0,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.said, self._names = said or time.time(), names or {}
        self.folders, self.state, self.checksums = folders, state, checksums or {}
        self.missing, self.older = missing or {}, tuple(older)
        self._entries, self._users, self._lock = entries, 1, threading.Lock()

    def files(self, version: str) -> object:
        """Of a version, another one when its content is."""
        return self.state.get(version, self.state.get(""))

    def told(self, text: str) -> str:
        """What is said of files in the node's cache, by where they were fetched from."""
        for place, name in self._names.items():
            text = text.replace(place, name)
        return text

    def share(self) -> None:
        """One more who has to release them."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Whoever shared them needs them no more; after the last one the folders may go."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            for one in self._entries:
                one.release()


def hold(
    uri: str,
    policy: Versions,
    tell: Tell = nobody,
    stop: threading.Event | None = None,
    asker: str = "",
    anew: bool = False,
) -> Held:
    """The folders of the versions that `policy` wants, fetched where they have to be. Blocks.

    ConfigError says why not; GivenUp, which is one, where `stop` came first. `tell` hears how far it is.
    `asker`: who starts, and may do with what the store said to the same one a moment ago (`listings`),
    or ever where it says nothing now; but for `anew`. Versions that are asked for and aren't there:
    `Held.missing`, where others are.
    """
    with _about(uri):
        at = address(uri)
        if isinstance(at, Path):
            now = time.time()
            folders, older, missing = candidates(existing(uri, at), policy)
            return _some(Held(folders, _stamps(folders), missing=missing, older=older, said=now))
        for left in reversed(range(_AGAIN)):
            try:
                return _some(_remote(uri, at, policy, tell, stop or threading.Event(), asker, anew))
            except Changed:
                if not left:
                    raise
        raise AssertionError


def state(uri: str, policy: Versions) -> State:
    """As `Held` has it, of what is there now; nothing is fetched. Blocks."""
    with _about(uri):
        at = address(uri)
        if isinstance(at, Path):
            return _stamps(candidates(existing(uri, at), policy)[0])
        return _keys(wanted(at, policy).manifests)


def pinned(key: str) -> Held | None:
    """What a node's cache has of what was fetched under that key (`entries.pin`), whatever is newer."""
    entry = NodeCache().there(key)
    if entry is None:
        return None
    names = {str(entry.folder): entry.about.source}
    return Held({"": entry.folder}, {"": key}, entries=(entry,), names=names)


def local_folder(uri: str) -> Path:
    """The folder of this machine that `uri` names, which exists."""
    with _about(uri):
        at = address(uri)
        if isinstance(at, Path):
            return existing(uri, at)
        raise ConfigError(f"storageUri '{uri}': a folder of this machine is wanted")


def names_in(uri: str) -> list[str]:
    """The folders right below `uri`. Blocks."""
    with _about(uri):
        at = address(uri)
        if isinstance(at, Path):
            return sorted(one.name for one in existing(uri, at).iterdir() if one.is_dir())
        return sorted(asked(store(at).top)[0])


def local_path(uri: str) -> Path | None:
    """Where that folder is, whether or not it exists; None for one that has to be fetched first.

    ConfigError for what can't be served from anywhere.
    """
    at = address(uri)
    return at if isinstance(at, Path) else None


def _some(held: Held) -> Held:
    """With a version at least; ConfigError says why there is none."""
    if not held.folders:
        held.release()
        raise ConfigError(next(iter(held.missing.values())))
    return held


def _remote(
    uri: str,
    at: Address,
    policy: Versions,
    tell: Tell,
    stop: threading.Event,
    asker: str,
    anew: bool,
) -> Held:
    cache, now = NodeCache(), time.time()
    listing = Listing(cache.root, uri, policy, asker)
    before, age = listing.read()
    if asker and not anew and age <= FRESH_S and (there := _there(cache, before)):
        return _held(before, there, policy, said=now - age)
    try:
        found = wanted(at, policy)
    except Unreachable as error:
        if not asker or anew or not (there := _there(cache, before)):
            raise
        log.warning("%s: %s; what it had %.0f s ago is here, and serves", redacted(uri), error, age)
        return _held(before, there, policy, said=now - age)
    if not found.missing:
        listing.write(found.manifests, now)
    entries: dict[str, Entry] = {}
    try:
        for version, one in found.manifests.items():
            entries[version] = fetched(found.store, one, cache, tell, stop)
    except BaseException:
        _released(entries)
        raise
    return _held(found.manifests, entries, policy, found.missing, found.older, now)


def _there(cache: NodeCache, manifests: Mapping[str, Manifest]) -> dict[str, Entry]:
    """Their entries, all of them or none."""
    entries: dict[str, Entry] = {}
    for version, one in manifests.items():
        entry = cache.there(one.key)
        if entry is None:
            _released(entries)
            return {}
        entries[version] = entry
    return entries


def _held(
    manifests: Mapping[str, Manifest],
    entries: dict[str, Entry],
    policy: Versions,
    missing: Mapping[str, str] | None = None,
    older: Iterable[str] = (),
    said: float = 0.0,
) -> Held:
    whole, names = entries.get(""), _names(manifests, entries)
    held = Held({}, _keys(manifests), {}, tuple(entries.values()), missing, older, said, names)
    try:
        held.folders = {version: inside(entries[version], one) for version, one in manifests.items()}
        if "" in held.folders:
            held.folders, later, missing = candidates(held.folders[""], policy)
            held.older = tuple(later)
            held.missing = {version: held.told(why) for version, why in missing.items()}
    except ConfigError as error:
        held.release()
        raise type(error)(held.told(str(error))) from None
    except BaseException:
        held.release()
        raise
    held.checksums = {version: (whole or entries[version]).about.checksum for version in held.folders}
    return held


def _names(manifests: Mapping[str, Manifest], entries: Mapping[str, Entry]) -> dict[str, str]:
    """Of the places of entries, and as links on their way would have them."""
    found = dict[str, str]()
    for version, one in manifests.items():
        name, paths = redacted(one.name), one.files
        for place in dict.fromkeys(
            map(str, (entries[version].folder, entries[version].folder.resolve()))
        ):
            if len(paths) == 1 and not one.archive and name.endswith(f"/{paths[0].path}"):
                found[f"{place}/{paths[0].path}"] = name  # the address is the file's own
            found[place] = name
    return found


def _released(entries: Mapping[str, Entry]) -> None:
    for entry in entries.values():
        entry.release()


def _keys(manifests: Mapping[str, Manifest]) -> State:
    return {version: one.key for version, one in manifests.items()}


def _stamps(folders: Mapping[str, Path]) -> State:
    return {version: stamps_in([folder]) for version, folder in folders.items()}


@contextmanager
def _about(uri: str) -> Iterator[None]:
    """ConfigErrors name the URI; Serve shows them as they are, so nothing secret is left in them."""
    try:
        yield
    except ConfigError as error:
        said = str(error)
        if not said.startswith(("storageUri", "versions:")):
            said = f"storageUri '{uri}': {said}"
        raise type(error)(redacted(said)) from None
