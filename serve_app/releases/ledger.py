"""The desired state: a generation, the layer of live changes, what is under way, who did what. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from serve_app.releases.change import Change
from serve_app.releases.live import Layer, Live, Parts

_FORMAT = 1
_MOST_LINES = 200  # of the audit
UNDER_WAY = "under way"

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A change that isn't served by all yet: since which generation, and what was before it."""

    id: str
    generation: int
    before: Live | None
    verb: str = "load"
    version: str = ""  # that was asked for, where one was

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        before = self.before.plain if self.before else None
        names = ("id", "generation", "verb", "version")
        return {**{name: getattr(self, name) for name in names}, "before": before}


@dataclass(frozen=True, slots=True)
class State:
    """`reads`: at which generation the files of a model were to be looked at anew."""

    generation: int = 0
    layer: Layer = field(default_factory=dict)
    reads: Mapping[str, int] = field(default_factory=dict)
    under_way: Mapping[str, UnderWay] = field(default_factory=dict)
    polled: Mapping[str, str] = field(default_factory=dict)
    audit: tuple[Line, ...] = ()

    def encoded(self) -> bytes:
        """As it is kept."""
        return json.dumps(
            {
                "format": _FORMAT,
                "generation": self.generation,
                "layer": {name: live.plain for name, live in self.layer.items()},
                "reads": dict(self.reads),
                "under_way": {name: one.plain for name, one in self.under_way.items()},
                "polled": dict(self.polled),
                "audit": list(self.audit),
            },
            separators=(",", ":"),
        ).encode()

    @property
    def uploads(self) -> set[str]:
        """The digests of the files that it needs."""
        before = [one.before for one in self.under_way.values() if one.before]
        return {live.upload for live in [*self.layer.values(), *before] if live.upload}

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
        name: UnderWay(**{**one, "before": _live(one["before"])})
        for name, one in found["under_way"].items()
    }
    layer = {name: Live(**live) for name, live in found["layer"].items()}
    return State(
        found["generation"], layer, found["reads"], under_way, found["polled"], tuple(found["audit"])
    )


def _live(plain: Mapping[str, Any] | None) -> Live | None:
    return Live(**plain) if plain else None


def begun(state: State, change: Change, now: float) -> State:
    """With the change, which is under way."""
    generation = state.generation + 1
    before = state.layer.get(change.model)
    line = said(change, now, UNDER_WAY, generation)
    reads = {**state.reads, change.model: generation} if change.read else state.reads
    one = UnderWay(change.id, generation, before, change.verb, change.version)
    return replace(
        state,
        generation=generation,
        layer=_with(state.layer, change.model, change.live),
        reads=reads,
        under_way={**state.under_way, change.model: one},
        audit=_bounded((*state.audit, line)),
    )


def ended(state: State, model: str, outcome: str, now: float, undo: bool = False) -> State:
    """The change of that model is over; `undo`: what was before it holds again."""
    one = state.under_way[model]
    left = {name: other for name, other in state.under_way.items() if name != model}
    audit = tuple(
        {**line, "outcome": outcome, "seconds": round(now - line["time"], 3)}
        if line.get("id") == one.id
        else line
        for line in state.audit
    )
    made = replace(state, under_way=left, audit=audit)
    if undo and state.layer.get(model) != one.before:
        made = replace(
            made, generation=state.generation + 1, layer=_with(state.layer, model, one.before)
        )
    return made


def dropped(state: State, model: str, over: Parts, now: float) -> State:
    """Without what was done to a model over parts that are no longer; the same if it was done since."""
    live = state.layer.get(model)
    if live is None or dict(live.over) != dict(over):
        return state
    line = {
        "time": round(now, 3), "verb": "drop", "model": model, "by": "deploy",
        "outcome": "a deploy changed its configuration", "generation": state.generation + 1,
    }  # fmt: skip
    return replace(
        state,
        generation=state.generation + 1,
        layer=_with(state.layer, model, None),
        audit=_bounded((*state.audit, line)),
    )


def noted(state: State, line: Line) -> State:
    """With a line that changes nothing: a refusal."""
    return replace(state, audit=_bounded((*state.audit, line)))


def said(change: Change, now: float, outcome: str, generation: int) -> dict[str, Any]:
    """A line of the audit: who, when, what, and what became of it."""
    keys = sorted(change.live.config or {}) if change.live else []
    line: dict[str, Any] = {
        "time": round(now, 3), "id": change.id, "verb": change.verb, "model": change.model,
        "by": change.by, "outcome": outcome, "generation": generation,
    }  # fmt: skip
    if change.version:
        line["version"] = change.version
    if change.live and change.live.upload:
        line["upload"] = change.live.upload
    return {**line, "config": keys} if keys else line


def _with(layer: Layer, model: str, live: Live | None) -> Layer:
    left = {name: one for name, one in layer.items() if name != model}
    return {**left, model: live} if live else left


def _bounded(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return lines[-_MOST_LINES:]
