"""Live changes as a layer over the configuration: what they are, what the two make together. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from serve_app.config import InlineModel, RouterUserConfig, Routing, Traffic, parse
from serve_app.errors import ConfigError

# What configures a model: its entry in the Router's user_config, and applications by their names. Each
# with a digest of what it says.
Parts = Mapping[str, str]
ENTRY = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What was done to one model.

    `over` are the parts of the configuration that it was done over: it holds as long as they stay.
    `config` is an entry to be served instead of the configuration's, `upload` the digest of the files
    that came with it; `off`: the model is unloaded.
    """

    over: Parts = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    upload: str = ""
    off: bool = False

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"over": dict(self.over), "config": self.config, "upload": self.upload, "off": self.off}


@dataclass(frozen=True, slots=True)
class LiveTraffic:
    """Traffic of one model, `config`, over what the configuration says of it, `over` its digest."""

    over: str
    config: Mapping[str, Any]

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"over": self.over, "config": dict(self.config)}


Layer = Mapping[str, Live]  # by the model's name
Shares = Mapping[str, LiveTraffic]


def digest(said: object) -> str:
    """Another one for another meaning."""
    text = json.dumps(said, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def written(model: InlineModel) -> dict[str, Any]:
    """A model's entry, as short as one can write it."""
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def parts(
    models: Iterable[InlineModel], applications: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """What configures each model; `applications` are those of models that have some, with digests."""
    found = {name: dict(apps) for name, apps in applications.items()}
    for model in models:
        found.setdefault(model.name, {})[ENTRY] = digest(written(model))
    return found


def overruled(over: Parts, now: Parts) -> bool:
    """Whether the configuration was changed since: it wins then.

    An application that isn't there, or not yet, is no change; an entry that isn't there is one.
    """
    return any(over.get(part) != said for part, said in now.items()) or (
        ENTRY in over and ENTRY not in now
    )


def directed(config: RouterUserConfig, name: str) -> str:
    """A digest of what the configuration says of a model's traffic."""
    found = config.routing.get(name)
    if found is None or (found.traffic is None and found.default_version is None):
        return ""
    traffic = found.traffic.model_dump(mode="json", exclude_defaults=True) if found.traffic else None
    return digest([found.default_version, traffic])


@dataclass(frozen=True, slots=True)
class Merged:
    """The configuration and the layer together.

    `off` are the models that are unloaded; `reasons`, why a live entry can't be had; `overruled`, those
    whose configuration was changed since, and `redirected`, those whose traffic in it was.
    """

    config: RouterUserConfig
    off: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    overruled: frozenset[str] = frozenset()
    redirected: frozenset[str] = frozenset()


def merged(
    base: RouterUserConfig,
    applications: Mapping[str, Mapping[str, str]],
    layer: Layer,
    folder: Callable[[str], str],
    shares: Shares = MappingProxyType({}),
) -> Merged:
    """What a Router is to serve. `folder`: where an upload's files lie here, ConfigError if nowhere."""
    now = parts(base.models, applications)
    over = {name for name, live in layer.items() if overruled(live.over, now.get(name, {}))}
    holds = {name: live for name, live in layer.items() if name not in over}
    models, reasons = dict[str, InlineModel](), dict[str, str]()
    for model in base.models:
        if model.name not in holds:
            models[model.name] = model
    for name, live in holds.items():
        if live.off:
            continue
        try:
            models[name] = entry(name, live, folder)
        except ConfigError as error:
            reasons[name] = str(error)
            models |= {one.name: one for one in base.models if one.name == name}
    # Where nothing was changed, the order is the configuration's.
    order = {model.name: at for at, model in enumerate(base.models)}
    found = sorted(models.values(), key=lambda model: order.get(model.name, len(order)))
    off = frozenset(name for name, live in holds.items() if live.off)
    redirected = {name for name, live in shares.items() if live.over != directed(base, name)}
    routing = dict(base.routing)
    for name, said in shares.items():
        if name not in redirected:
            traffic = parse(Traffic, said.config, f"traffic of '{name}'")
            update: dict[str, Any] = {"traffic": traffic, "default_version": None}
            before = routing.get(name, Routing())
            if before.shadow and traffic.weights.get(before.shadow.version) == 100:
                update["shadow"] = None  # it was promoted: there is nothing left to compare it with
            routing[name] = before.model_copy(update=update)
    config = base.model_copy(update={"models": found, "routing": routing})
    return Merged(config, off, reasons, frozenset(over), frozenset(redirected))


def entry(name: str, live: Live, folder: Callable[[str], str]) -> InlineModel:
    """A live entry as a model; ConfigError where it is none."""
    said = dict(live.config or {})
    if live.upload:
        said["storageUri"] = folder(live.upload)
    return parse(InlineModel, {**said, "name": name}, f"models '{name}'")
