"""From what is asked, and what there is, to a change of the layer. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serve_app.config import Allow, InlineModel, Traffic, did_you_mean, join, parse
from serve_app.errors import ConfigError, InvalidArgument, NotFound, Unsupported
from serve_app.releases.asked import Asked
from serve_app.releases.live import ENTRY, Live, LiveTraffic, Parts, entry, written
from serve_app.releases.permitted import check


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model: its entry in the configuration, what was done to it, its parts (the
    configuration's as `over` of Live has them) and its versions that are loaded. `answer`: the versions
    that get the requests which name none, where that isn't the newest; `rolled`: the two of a rollout.
    `mark`: of the state that this is known from.
    """

    base: InlineModel | None = None
    live: Live | None = None
    parts: Parts = field(default_factory=dict)
    loaded: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    rolled: tuple[str, ...] = ()
    mark: str = ""

    @property
    def remote(self) -> bool:
        """Whether applications have it."""
        return any(part != ENTRY for part in self.parts)

    @property
    def config(self) -> dict[str, Any] | None:
        """The entry that holds, were it loaded."""
        if self.live and self.live.config is not None:
            return dict(self.live.config)
        return written(self.base) if self.base else None


TRAFFIC = "traffic"  # the verb


@dataclass(frozen=True, slots=True)
class Change:
    """`live` takes the place of what was done to the model, None takes it away; `read`: its files are
    looked at anew, by its applications too where it is `remote`. `id` is the request's, `by` who it was.

    Of the verb `traffic`: `shares` takes the place of its live traffic, and `live` is nothing.

    `mark` is of the state that it was made from (serve_app.releases.rolling).
    """

    id: str
    model: str
    verb: str
    live: Live | None = None
    read: bool = False
    remote: bool = False
    version: str = ""
    by: str = ""
    shares: LiveTraffic | None = None
    mark: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        names = ("id", "model", "verb", "read", "remote", "version", "by", "mark")
        said: dict[str, Any] = {name: getattr(self, name) for name in names}
        said["live"] = self.live.plain if self.live else None
        return {**said, "shares": self.shares.plain if self.shares else None}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Change":
        """The same back."""
        live, shares = plain["live"], plain["shares"]
        made = {"live": Live(**live) if live else None}
        return cls(**{**plain, **made, "shares": LiveTraffic(**shares) if shares else None})


def change(
    asked: Asked,
    known: Known,
    allow: Allow,
    local: Callable[[str], Path | None],
    upload: str = "",
) -> Change:
    """TandemError says why it can't be. `upload`: the digest of the files that were brought."""
    if not known.parts and known.live is None and asked.config is None:
        raise NotFound(
            f"failed to {asked.verb} '{asked.model}': no model of that name is configured"
            + (", and no `config` came with the request" if asked.verb == "load" else "")
        )
    name, version = asked.model, asked.version
    made = Change("", name, asked.verb, version=version, remote=known.remote, mark=known.mark)
    if known.remote:
        return _of_applications(made, asked, known)
    if asked.verb == "unload":
        return replace(made, live=_less(asked, known))
    if asked.config is not None or asked.files:
        return replace(made, live=_given(asked, known, allow, local, upload))
    if asked.version:
        if known.config is None:
            raise NotFound(f"failed to load '{asked.model}': it was unloaded, and had no configuration")
        loaded = () if known.live and known.live.off else known.loaded
        live = _listed(known, {*loaded, asked.version})
        return replace(made, live=live, read=True)
    # Plain: as the configuration has it; a model that only a request brought stays what it is.
    return replace(made, live=None if known.base else known.live, read=True)


def _of_applications(made: Change, asked: Asked, known: Known) -> Change:
    if asked.config is not None or asked.files:
        raise Unsupported(
            f"failed to load '{asked.model}': it has processes of its own, and its configuration is "
            "that of its application: deploy a changed one (tandem deploy)"
        )
    if asked.version:
        raise Unsupported(
            f"failed to {asked.verb} '{asked.model}': it has processes of its own, which load the "
            "versions that their application's `versions` names: deploy a changed one (tandem deploy)"
        )
    if asked.verb == "unload":
        return replace(made, live=Live(known.parts, off=True))
    return replace(made, live=None, read=True)


def _less(asked: Asked, known: Known) -> Live | None:
    """Unloaded, or without one version."""
    if not asked.version:
        return Live(known.parts, off=True) if known.base else None
    if asked.version not in known.loaded:
        raise NotFound(f"failed to unload '{asked.model}': it has no version '{asked.version}' loaded")
    left = set(known.loaded) - {asked.version}
    if not left:
        return Live(known.parts, off=True) if known.base else None
    _check_left(asked, known, left)
    return _listed(known, left)


def _check_left(asked: Asked, known: Known, left: set[str]) -> None:
    """Nothing takes the place of a version that traffic, or a rollout, gives requests to."""
    failed = f"failed to unload '{asked.model}': "
    if asked.version in known.rolled:
        raise InvalidArgument(
            f"{failed}a rollout compares version {asked.version} with version "
            f"{next(one for one in known.rolled if one != asked.version)}: abort or promote it first "
            f"(tandem rollout {asked.model} abort)"
        )
    if asked.version in known.answer and not left.intersection(known.answer):
        raise InvalidArgument(
            f"{failed}version {asked.version} alone answers requests that name no version: give them to "
            f"another one first (tandem traffic {asked.model} {max(left, key=int)}=100), or unload the "
            "whole model"
        )


def _listed(known: Known, versions: Iterable[str]) -> Live:
    listed = sorted(versions, key=int)
    upload = known.live.upload if known.live else ""
    return Live(known.parts, {**(known.config or {}), "versions": listed}, upload)


def _given(
    asked: Asked, known: Known, allow: Allow, local: Callable[[str], Path | None], upload: str
) -> Live:
    """With keys or files of the request's own, over the configuration's entry."""
    base = written(known.base) if known.base else None
    below = base if base is not None else known.config or {}
    given = dict(asked.config or {})
    said = {**below, **given}
    said = {key: value for key, value in said.items() if value is not None}
    if asked.version:
        said["versions"] = [asked.version]
    if asked.files:
        if "storageUri" in given:
            raise InvalidArgument("config.storageUri: the files that came are what is loaded")
        said.pop("storageUri", None)
        if "versions" not in given:
            said.pop("versions", None)
    elif base is None and known.live and "storageUri" not in given:
        upload = known.live.upload
    check(said, base, bool(asked.files), allow, local)
    live = Live(known.parts, said, upload)
    try:
        entry(asked.model, live, lambda digest: f"/{digest}")
    except ConfigError as error:
        raise InvalidArgument(f"failed to load '{asked.model}': {error}") from None
    return live


def shared(model: str, said: object, versions: Collection[str], over: str) -> Change:
    """The traffic that somebody asks for, over what the configuration says; None to have that again.

    `versions` are those that are there. InvalidArgument where it is none, or names others.
    """
    if said is None:
        return Change("", model, TRAFFIC)
    try:
        traffic = parse(Traffic, said, "traffic")
    except ConfigError as error:
        raise InvalidArgument(f"failed to share the requests of '{model}': {error}") from None
    for place, number in traffic.versions.items():
        if number not in versions:
            where = join("traffic", place)
            raise InvalidArgument(
                f"failed to share the requests of '{model}': {where}: no version {number} is loaded"
                f"{did_you_mean(number, versions)}"
            )
    config = traffic.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return Change("", model, TRAFFIC, shares=LiveTraffic(over, config))
