"""What an entry that came over the network may say that the configuration doesn't. Pure."""

import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serve_app.config import Allow
from serve_app.errors import InvalidArgument
from serve_app.redact import redacted

_MOVES = ("storageUri", "class", "options")  # of a class: what decides about what it does


def check(
    entry: Mapping[str, Any],
    base: Mapping[str, Any] | None,
    uploads: bool,
    allow: Allow,
    local: Callable[[str], Path | None],
) -> None:
    """InvalidArgument names what isn't allowed, and by which key it would be.

    `entry` and `base` are whole entries, `base` the configuration's; `uploads`: files come with it.
    `local`: where a storageUri of this machine is, None for one of elsewhere.
    """
    known = base or {}
    uri = entry.get("storageUri")
    moved = uploads or uri != known.get("storageUri")
    if entry.get("class") is not None and (
        uploads or any(entry.get(key) != known.get(key) for key in _MOVES)
    ):
        _class(str(entry["class"]), allow)
    if entry.get("trusted") and not allow.trusted and (moved or not known.get("trusted")):
        raise InvalidArgument(
            "config.trusted: a request may not bring files that run code (admin.allow.trusted)"
        )
    _types(entry, known, moved, allow)
    _address(entry, known, allow)
    if uri is None or uploads or uri == known.get("storageUri"):
        return
    if not any(within(str(uri), root, local) for root in allow.storage):
        raise InvalidArgument(
            f"config.storageUri: '{uri}' is in no place that a request may name "
            f"(admin.allow.storage: {', '.join(allow.storage) or 'none'})"
        )


def _types(entry: Mapping[str, Any], known: Mapping[str, Any], moved: bool, allow: Allow) -> None:
    """Types that a skops file may make are trust as well."""
    named, before = (_options(one).get("trustedTypes") or () for one in (entry, known))
    if named and not allow.trusted and (moved or named != before):
        raise InvalidArgument(
            "config.options.trustedTypes: a request may not say which types a file may hold "
            "(admin.allow.trusted)"
        )


def _options(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found = entry.get("options")
    return found if isinstance(found, Mapping) else {}


def _address(entry: Mapping[str, Any], known: Mapping[str, Any], allow: Allow) -> None:
    """Of another server, for modelFormat v2: a place as a storageUri's is."""
    if entry.get("modelFormat") not in ("v2", "triton"):
        return
    options = _options(entry)
    if entry.get("modelFormat") == known.get("modelFormat") and options == _options(known):
        return
    address = str(options.get("address"))
    if not any(within(address, root, lambda _: None) for root in allow.storage):
        raise InvalidArgument(
            f"config.options.address: '{redacted(address)}' is in no place that a request may name "
            f"(admin.allow.storage: {', '.join(allow.storage) or 'none'})"
        )


def _class(path: str, allow: Allow) -> None:
    if path not in allow.classes and path.partition(":")[0] not in allow.classes:
        raise InvalidArgument(
            f"config.class: a request may not bring '{path}', its options or its files "
            f"(admin.allow.classes: {', '.join(allow.classes) or 'none'})"
        )


def within(uri: str, root: str, local: Callable[[str], Path | None]) -> bool:
    """Whether what is at `uri` lies in `root`, links and `..` followed."""
    here, there = (local(one) if _local(one) else None for one in (uri, root))
    if here is not None or there is not None:
        return here is not None and there is not None and here.is_relative_to(there)
    if _local(uri) or _local(root):
        return False
    scheme, _, place = uri.partition("://")
    wanted, _, base = root.partition("://")
    if scheme != wanted or any(mark in place for mark in "?#%\\@"):
        return False
    if posixpath.normpath(place) != place.rstrip("/"):
        return False
    return place == base.rstrip("/") or place.startswith(base.rstrip("/") + "/")


def _local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")
