"""From what is wanted and what is there to the steps between. Pure: no Ray, no clock, no effects."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from serve_app.config import InlineModel
from serve_app.releases.applications import RemoteApp
from serve_app.releases.telling import deployed, untold

# So long requests wait for a replica to come back before they are refused.
DOWN_GRACE_S = 10


@dataclass(frozen=True, slots=True)
class Desired:
    """What a Router is to serve.

    `generation` counts its configurations; `inline` are their models by name; `applications`, those
    that Serve has, by their own names. `lazily`: inline models are loaded when they are asked for.
    """

    generation: int = 0
    inline: Mapping[str, InlineModel] = field(default_factory=dict)
    applications: Mapping[str, RemoteApp] = field(default_factory=dict)
    lazily: bool = False


@dataclass(slots=True)
class Actual:
    """What a Router serves, and what it is about.

    `generation` is the one served; `inline`, the configurations that are in their places; `cold`, those
    of them that aren't in memory; `known`, inline models that the directory has, in place or not;
    `failed`, the generation at which one couldn't be loaded; `loading`, the one under way; `late`, those
    that are loaded for so long that others begin beside them; `overdue`, those of them that nothing
    waits for any more; `stale`, those whose files aren't what was loaded.

    `expected` are the applications that the directory has; `described`, as they were when they were last
    asked what they are, None where they have to be asked again; `describing`, those being asked;
    `trouble`, why one couldn't be asked or served; `served`, the replicas that each had when it was
    asked; `ready`, those with a version that answers; `down_since`, when (monotonic seconds) all
    replicas of one were gone; `now`, the time on that clock.

    `told`, whom of an application's replicas this Router has told to look at their files; `telling`,
    those being told; `paused`, those of which some couldn't be told a moment ago.

    `seen` is the generation at the last look at Serve's status, None before the first; `changing`,
    whether Serve was about to change this Router. `refused`: whose last deployment failed, and why.
    """

    generation: int = -1
    inline: dict[str, InlineModel] = field(default_factory=dict)
    cold: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    failed: dict[str, int] = field(default_factory=dict)
    loading: str = ""
    late: dict[str, InlineModel] = field(default_factory=dict)
    overdue: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    described: dict[str, RemoteApp | None] = field(default_factory=dict)
    describing: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    served: dict[str, frozenset[str]] = field(default_factory=dict)
    told: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    telling: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    seen: int | None = None
    changing: bool = False
    trouble: dict[str, str] = field(default_factory=dict)
    ready: Set[str] = frozenset()
    down_since: Mapping[str, float] = field(default_factory=dict)
    now: float = 0.0
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Name:
    """Make an inline model known, which waits for its turn to be loaded."""

    name: str


@dataclass(frozen=True, slots=True)
class Load:
    """Load an inline model beside what serves, then put it in its place."""

    model: InlineModel


@dataclass(frozen=True, slots=True)
class Rest:
    """Put an inline model in its place without loading it: a request will."""

    model: InlineModel


@dataclass(frozen=True, slots=True)
class Unload:
    """Drop an inline model."""

    name: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """All of this generation's models were tried: its limits and routes hold now."""

    generation: int


@dataclass(frozen=True, slots=True)
class Expect:
    """Name an application's model, and why it doesn't answer yet."""

    app: RemoteApp
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing of an application answers any more: refuse its requests, with the reason."""

    app: RemoteApp
    reason: str


@dataclass(frozen=True, slots=True)
class Describe:
    """Ask an application what it is, then serve it (again)."""

    app: RemoteApp


@dataclass(frozen=True, slots=True)
class Tell:
    """Let an application's replicas look at their files, then ask it what it is."""

    app: RemoteApp


@dataclass(frozen=True, slots=True)
class Resize:
    """An application has other numbers of replicas, and is else what it was."""

    app: RemoteApp


@dataclass(frozen=True, slots=True)
class Forget:
    """An application is gone."""

    name: str


Step = Name | Load | Rest | Unload | Adopt | Expect | Refuse | Describe | Tell | Resize | Forget


def reconcile(desired: Desired, actual: Actual) -> list[Step]:
    """The steps that can be taken now, in their order. Nothing is left to do when there are none.

    Steps that take time (Load, Describe) are noted in `actual` as long as they are under way, and
    come with their results there; inline models are loaded one at a time.
    """
    return [*_inline(desired, actual), *_applications(desired, actual)]


def _inline(desired: Desired, actual: Actual) -> Iterator[Step]:
    for name in sorted(actual.known - set(desired.inline)):
        if name != actual.loading and not _held(name, desired, actual):
            yield Unload(name)
    for name in desired.inline:
        if name not in actual.known:
            yield Name(name)
    wanted = [model for model in desired.inline.values() if not _there(model, desired, actual)]
    load = None
    for model in wanted:
        if desired.lazily and (model.name in actual.cold or model.name not in actual.inline):
            yield Rest(model)
        else:
            load = load or model
    if actual.loading:
        return
    if load is not None:
        yield Load(load)
        return
    late = {
        name for name in actual.late if name in desired.inline and _late(desired.inline[name], actual)
    }
    if actual.generation != desired.generation and late <= actual.overdue:
        yield Adopt(desired.generation)


def _there(model: InlineModel, desired: Desired, actual: Actual) -> bool:
    """Whether nothing is to be done for it: it is in its place, on the way there, or can't be."""
    name = model.name
    if _same(actual.inline.get(name), model) and name not in actual.stale:
        return desired.lazily or name not in actual.cold
    busy = name == actual.loading or _late(model, actual)
    return busy or actual.failed.get(name) == desired.generation


def _late(model: InlineModel, actual: Actual) -> bool:
    """Whether this very model is being loaded, beside others."""
    return _same(actual.late.get(model.name), model)


def _same(one: InlineModel | None, other: InlineModel) -> bool:
    """Most often it is the very same; to compare a thousand key by key takes an event loop 2 ms."""
    return one is other or one == other


def _held(name: str, desired: Desired, actual: Actual) -> bool:
    """Whether an inline model has to stay, though it isn't wanted: an application takes its place.

    Serve says so at the next look at the latest.
    """
    if name not in actual.inline:
        return False
    if any(app.model == name for app in desired.applications.values()):
        return not any(
            app.model == name and app.name in actual.ready for app in desired.applications.values()
        )
    return actual.seen is not None and actual.seen != desired.generation


def coming(name: str, desired: Desired, actual: Actual) -> bool:
    """Whether a model has versions that are about to answer."""
    if name in desired.inline:
        tried = actual.failed.get(name) == desired.generation or name in actual.overdue
        return name not in actual.inline and not tried
    return actual.changing or any(
        app.model == name and not app.failed and app.name not in actual.ready
        for app in desired.applications.values()
    )


def _applications(desired: Desired, actual: Actual) -> Iterator[Step]:
    # An inline model of the same name goes first, once it is loaded; `tandem check` refuses it.
    hidden = {
        name
        for name, app in desired.applications.items()
        if app.model in actual.inline and app.model in desired.inline
    }
    for name in sorted(actual.expected - (set(desired.applications) - hidden)):
        # Serve is rid of an application before this Router has the inline model that replaces it.
        known = actual.described.get(name)
        if name in hidden or not (known and coming(known.model, desired, actual)):
            yield Forget(name)
    for app in desired.applications.values():
        if app.name in hidden:
            continue
        if not app.ingress and not app.failed:
            continue  # being built: a new one isn't known to be a model, an old one serves on
        yield from _application(app, actual)


def _application(app: RemoteApp, actual: Actual) -> Iterator[Step]:
    known = actual.described.get(app.name)
    since = actual.down_since.get(app.name, actual.now)
    if app.failed or (app.down and actual.now - since > DOWN_GRACE_S):
        yield Refuse(app, app.says)
        return
    if known is None and app.name not in actual.ready:
        trouble = actual.trouble.get(app.name)
        yield Expect(app, app.says + (f": {trouble}" if trouble else ""))
    if app.name not in actual.telling and untold(app, actual.told, actual.paused):
        yield Tell(app)
    if app == known or app.name in actual.describing:
        return
    if app.name in actual.ready and deployed(app, actual.told):
        return  # it is asked when they have looked
    if not app.settled and (app.name in actual.ready or not app.running):
        # What serves goes on, and what doesn't answer yet needn't be asked.
        if app.name in actual.ready and _turned(app, actual):
            yield Describe(app)
        return
    if known and known.stamp == app.stamp:
        # Only scaled. Not described again: asking would wake a model that went to zero.
        yield Resize(app)
    else:
        yield Describe(app)


def _turned(app: RemoteApp, actual: Actual) -> bool:
    """Whether most replicas aren't those any more that said what the application is."""
    served = actual.served.get(app.name, frozenset())
    return bool(served) and 2 * len(app.replicas & served) < len(app.replicas)


def tried(desired: Desired, actual: Actual) -> bool:
    """Whether every model that is wanted has been loaded, or couldn't be, at least once.

    An application that is still being built counts: it may be a model.
    """
    if not desired.generation or actual.generation != desired.generation:
        return False
    return all(
        name in actual.described or app.model in desired.inline
        for name, app in desired.applications.items()
    )
