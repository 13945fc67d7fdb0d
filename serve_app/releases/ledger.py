"""The desired state: a generation, the layer of live changes, what is under way, who did what. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from serve_app.releases.change import TRAFFIC, Change
from serve_app.releases.live import Layer, Live, LiveTraffic, Parts, Shares, digest

_FORMAT = 1
_MOST_LINES = 200  # of the audit
UNDER_WAY = "under way"

Line = Mapping[str, Any]
L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A change that isn't served by all yet: since which generation, and what was before it."""

    id: str
    generation: int
    before: Live | None
    verb: str = "load"
    version: str = ""  # that was asked for, where one was
    shares: LiveTraffic | None = None  # before it

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        names = ("id", "generation", "verb", "version")
        said: dict[str, Any] = {name: getattr(self, name) for name in names}
        said["before"] = self.before.plain if self.before else None
        return {**said, "shares": self.shares.plain if self.shares else None}


@dataclass(frozen=True, slots=True)
class State:
    """`reads`: at which generation the files of a model were to be looked at anew; `rollouts`, the last
    of each model, are serve_app.releases.rolling's.
    """

    generation: int = 0
    layer: Layer = field(default_factory=dict)
    shares: Shares = field(default_factory=dict)
    reads: Mapping[str, int] = field(default_factory=dict)
    under_way: Mapping[str, UnderWay] = field(default_factory=dict)
    polled: Mapping[str, str] = field(default_factory=dict)
    rollouts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    audit: tuple[Line, ...] = ()

    def encoded(self) -> bytes:
        """As it is kept."""
        return json.dumps(
            {
                "format": _FORMAT,
                "generation": self.generation,
                "layer": {name: live.plain for name, live in self.layer.items()},
                "shares": {name: live.plain for name, live in self.shares.items()},
                "reads": dict(self.reads),
                "under_way": {name: one.plain for name, one in self.under_way.items()},
                "polled": dict(self.polled),
                "rollouts": dict(self.rollouts),
                "audit": list(self.audit),
            },
            separators=(",", ":"),
        ).encode()

    @property
    def uploads(self) -> set[str]:
        """The digests of the files that it needs."""
        before = [one.before for one in self.under_way.values() if one.before]
        return {live.upload for live in [*self.layer.values(), *before] if live.upload}

    @property
    def looked(self) -> float:
        """When files were to be looked at last, by a load, as `time.time()`."""
        return max((line["time"] for line in self.audit if line.get("verb") == "load"), default=0.0)

    def line(self, id: str) -> Line | None:
        """What the audit says of a change."""
        return next((line for line in reversed(self.audit) if line.get("id") == id), None)


def decoded(kept: bytes | None) -> State:
    """The same back; ValueError where it is none of ours, or of a later version."""
    if not kept:
        return State()
    found = json.loads(kept)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError("the state that is kept is of another version of Tandem")
    under_way = {
        name: UnderWay(**{**one, "before": _live(one["before"]), "shares": _shares(one.get("shares"))})
        for name, one in found["under_way"].items()
    }
    layer = {name: Live(**live) for name, live in found["layer"].items()}
    shares = {name: LiveTraffic(**live) for name, live in found.get("shares", {}).items()}
    return State(
        found["generation"], layer, shares, found["reads"], under_way, found["polled"],
        found.get("rollouts", {}), tuple(found["audit"]),
    )  # fmt: skip


def _live(plain: Mapping[str, Any] | None) -> Live | None:
    return Live(**plain) if plain else None


def _shares(plain: Mapping[str, Any] | None) -> LiveTraffic | None:
    return LiveTraffic(**plain) if plain else None


def begun(state: State, change: Change, now: float) -> State:
    """With the change, which is under way."""
    generation = state.generation + 1
    name = change.model
    line = said(change, now, UNDER_WAY, generation)
    reads = {**state.reads, name: generation} if change.read else state.reads
    before = state.layer.get(name), state.shares.get(name)
    one = UnderWay(change.id, generation, before[0], change.verb, change.version, before[1])
    layer, shares = state.layer, state.shares
    if change.verb == TRAFFIC:
        shares = _with(shares, name, change.shares)
    else:
        layer = _with(layer, name, change.live)
    return replace(
        state,
        generation=generation,
        layer=layer,
        shares=shares,
        reads=reads,
        under_way={**state.under_way, change.model: one},
        audit=_bounded((*state.audit, line)),
    )


def ended(
    state: State, model: str, outcome: str, now: float, undo: bool = False, kind: str = ""
) -> State:
    """The change of that model is over; `undo`: what was before it holds again. `kind`: of the error
    that was given, where that isn't InvalidArgument. The same where nothing of it is under way."""
    one = state.under_way.get(model)
    if one is None:
        return state
    left = {name: other for name, other in state.under_way.items() if name != model}
    more = {"kind": kind} if kind else {}
    audit = tuple(
        {**line, "outcome": outcome, "seconds": round(now - line["time"], 3)} | more
        if line.get("id") == one.id
        else line
        for line in state.audit
    )
    made = replace(state, under_way=left, audit=audit)
    if not undo:
        return made
    # Of what the change touched alone: a rollout may have moved shares since a load began.
    if one.verb == TRAFFIC:
        made = replace(made, shares=_with(state.shares, model, one.shares))
    else:
        made = replace(made, layer=_with(state.layer, model, one.before))
    if done(made, model) != done(state, model):
        made = replace(made, generation=state.generation + 1)
    return made


def done(state: State, model: str) -> str:
    """What was done to a model, as a digest of what is kept: 1 and 1.0 are equal, and not the same."""
    live, shares = state.layer.get(model), state.shares.get(model)
    return digest([one.plain if one else None for one in (live, shares)])


def dropped(state: State, model: str, over: Parts, now: float) -> State:
    """Without what was done to a model over parts that are no longer; the same if it was done since."""
    live = state.layer.get(model)
    if live is None or dict(live.over) != dict(over):
        return state
    made = replace(state, layer=_with(state.layer, model, None))
    return _overruled(made, model, "its configuration", now)


def redirected(state: State, model: str, over: str, now: float) -> State:
    """Without traffic of a model over what the configuration no longer says, as `dropped`."""
    live = state.shares.get(model)
    if live is None or live.over != over:
        return state
    made = replace(state, shares=_with(state.shares, model, None))
    return _overruled(made, model, "its traffic", now)


def _overruled(made: State, model: str, what: str, now: float) -> State:
    line = {
        "time": round(now, 3), "verb": "drop", "model": model, "by": "deploy",
        "outcome": f"a deploy changed {what}", "generation": made.generation + 1,
    }  # fmt: skip
    return replace(made, generation=made.generation + 1, audit=_bounded((*made.audit, line)))


def noted(state: State, line: Line) -> State:
    """With a line that changes nothing: a refusal."""
    return replace(state, audit=_bounded((*state.audit, line)))


def said(change: Change, now: float, outcome: str, generation: int) -> dict[str, Any]:
    """A line of the audit: who, when, what, and what became of it."""
    keys = sorted(change.live.config or {}) if change.live else []
    shares = dict(change.shares.config) if change.shares else None
    line: dict[str, Any] = {
        "time": round(now, 3), "id": change.id, "verb": change.verb, "model": change.model,
        "by": change.by, "outcome": outcome, "generation": generation,
    }  # fmt: skip
    if change.version:
        line["version"] = change.version
    if change.live and change.live.upload:
        line["upload"] = change.live.upload
    if change.verb == TRAFFIC:
        line["traffic"] = shares  # None: the configuration's again
    return {**line, "config": keys} if keys else line


def _with(layer: Mapping[str, L], model: str, live: L | None) -> dict[str, L]:
    left = {name: one for name, one in layer.items() if name != model}
    return {**left, model: live} if live else left


def _bounded(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return lines[-_MOST_LINES:]
