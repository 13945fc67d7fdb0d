"""From an address to entries of the node's cache: what is wanted of it, and that fetched."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from serve_app.config import Versions, newest
from serve_app.errors import ConfigError
from serve_app.file_systems import QUIET_S
from serve_app.redact import redacted
from serve_app.repository.addresses import Address
from serve_app.repository.archives import unpack
from serve_app.repository.cache import Entry, NodeCache, Work
from serve_app.repository.downloads import Download
from serve_app.repository.manifests import Manifest
from serve_app.repository.progress import Progress, Tell, amount
from serve_app.repository.reasons import Unreachable, first_line, lasting
from serve_app.repository.stores import Store, store
from serve_app.repository.versions import apart, chosen, is_version

log = logging.getLogger("tandem")

T = TypeVar("T")
ASKS, PAUSE_S = 4, 0.5
_PACKED = "packed"


class Wanted(NamedTuple):
    """Of a store: by version what is wanted, by '' an archive that may hold several.

    `older`: versions that may take the place of some that can't be loaded, newest first; `missing`: why
    those that are asked for can't be had.
    """

    store: Store
    manifests: Mapping[str, Manifest]
    older: tuple[str, ...] = ()
    missing: Mapping[str, str] = MappingProxyType({})


def wanted(at: Address, policy: Versions) -> Wanted:
    """What of a store is wanted."""
    found = store(at)
    folders, files = asked(found.top)
    whole = None if folders else asked(lambda: found.manifest(""))
    if whole and whole.archive:
        return Wanted(found, {"": whole})

    def of(name: str) -> Manifest:
        return whole if whole and not name else asked(lambda: found.manifest(name))

    names, missing = chosen(folders, files, policy if newest(policy) is None else "all", at.where)
    names, older = apart(names, policy)
    return Wanted(found, {one: of(name) for one, name in names.items()}, tuple(older), missing)


def asked(ask: Callable[[], T]) -> T:
    """What a store says; ConfigError says why it says nothing."""
    began = time.monotonic()
    for left in reversed(range(ASKS)):
        try:
            return ask()
        except ConfigError:
            raise
        except Exception as error:
            if why := lasting(error):
                raise why from error
            if not left or time.monotonic() - began > QUIET_S / 2:  # else nobody hears why for minutes
                raise Unreachable(f"its store can't be asked: {first_line(error)}") from error
            time.sleep(PAUSE_S)
    raise AssertionError


def fetched(
    found: Store, manifest: Manifest, cache: NodeCache, tell: Tell, stop: threading.Event
) -> Entry:
    """Its entry, in use."""
    name = redacted(manifest.name)
    progress = Progress(name, manifest.size, tell)

    def make(work: Work) -> Mapping[str, str]:
        if manifest.archive:  # what is left of one that was unpacked by who died
            clear(work.folder, manifest.archive)
        began = time.monotonic()
        log.info("%s: fetching %s", name, amount(manifest.size))
        sums = Download(found, manifest, work, progress, stop).run()
        log.info("%s: fetched in %.1f s", name, time.monotonic() - began)
        return _unpacked(work, manifest, stop) if manifest.archive else sums

    return cache.entry(manifest.key, name, make, progress, stop)


def _unpacked(work: Work, manifest: Manifest, stop: threading.Event) -> Mapping[str, str]:
    """The archive's files in its place."""
    packed = work.folder.parent / _PACKED / manifest.archive
    packed.parent.mkdir(mode=0o700, exist_ok=True)
    (work.folder / manifest.archive).replace(packed)
    try:
        return unpack(packed, work.folder, lambda size: work.reserve(manifest.size + size), stop)
    except BaseException:
        work.drop()
        raise
    finally:
        shutil.rmtree(packed.parent, ignore_errors=True)


def clear(folder: Path, but: str) -> None:
    """Nothing stays in it but a file of that name."""
    for one in folder.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        elif one.name != but:
            one.unlink()


def inside(entry: Entry, manifest: Manifest) -> Path:
    """An entry's folder of files; of an archive of one folder that is no version, that one."""
    there = list(entry.folder.iterdir())
    alone = manifest.archive and len(there) == 1 and there[0].is_dir()
    if alone and (manifest.folder or not is_version(there[0].name)):
        return there[0]
    return entry.folder
