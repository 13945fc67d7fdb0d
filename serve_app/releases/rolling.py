"""A model's rollout as the Steward keeps it, and what its turns make of the desired state. Pure."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from serve_app.config import Rollout, Traffic, parse
from serve_app.releases import ledger, rollout
from serve_app.releases.live import LiveTraffic, digest
from serve_app.releases.rollout import Outcome, Record, Refused
from serve_app.releases.rollout.state import OVER

_MOST_RECORDS = 100
CONFIGURATION = "configuration"  # who a rollout was begun by, that stands there


@dataclass(frozen=True, slots=True)
class Rolling:
    """`over` and `before`: a digest of the traffic that the configuration gives the model, and what the
    rollout found there: `match` and `sticky` go on, and versions beside the two keep their shares.
    `by`: who began it. `records`: what was decided so far. `configured`: the last one that stood in the
    configuration and was begun. `asked`: the request that was done last, so that none is done twice.
    """

    state: rollout.State
    over: str
    before: Mapping[str, Any]
    by: str = ""
    records: tuple[Record, ...] = ()
    configured: Mapping[str, Any] | None = None
    asked: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "state": self.state.plain, "over": self.over, "before": dict(self.before), "by": self.by,
            "records": list(self.records), "configured": self.configured, "asked": self.asked,
        }  # fmt: skip

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Rolling":
        """The same back."""
        state = rollout.State.of(plain["state"])
        return cls(
            state, plain["over"], plain["before"], plain["by"], tuple(plain["records"]),
            plain["configured"], plain["asked"],
        )  # fmt: skip

    @property
    def shares(self) -> LiveTraffic:
        """The traffic of its two versions, and what else there was."""
        two = self.state.weights
        others = {
            version: weight
            for version, weight in self.before.get("weights", {}).items()
            if version not in two and weight
        }
        rest = 100.0 - sum(others.values())
        weights = {version: share * rest / 100 for version, share in two.items()} | others
        return LiveTraffic(self.over, {**self.before, "weights": weights})

    @property
    def summary(self) -> dict[str, Any]:
        """For people: how it stands, in what numbers, what was decided."""
        state = self.state
        return {
            "model": state.model, "id": state.id, "phase": state.phase, "step": state.step,
            "version": state.config.version, "baseline": state.baseline, "weights": state.weights,
            "rollout": dict(state.said), "by": self.by, "advice": state.advice,
            "counts": {
                state.config.version: state.total.canary.plain,
                state.baseline: state.total.baseline.plain,
            },
            "configured": self.configured, **rollout.numbers(state), "records": list(self.records),
        }  # fmt: skip


def begun(
    model: str, said: Mapping[str, Any], serves: str, over: str, before: Mapping[str, Any] | None,
    now: float, by: str, id: str = "", last: Rolling | None = None,
) -> tuple[Rolling, list[Record]]:  # fmt: skip
    """A rollout that begins; Refused or ConfigError for one that can't. `last`: the one before it."""
    config = parse(Rollout, said, f"routing.{model}.rollout")
    state, _, records = rollout.start(model, config, serves, now, id or uuid.uuid4().hex[:12], by)
    kept = dict(before or {})
    weights = Traffic.model_validate(kept).weights if kept else {}
    if weights and not any(weights.get(one) for one in state.weights):
        raise Refused(
            f"neither version {state.config.version} of '{model}' nor {state.baseline} has any of its "
            "requests: there is nothing to share between them"
        )
    configured = said if by == CONFIGURATION else last.configured if last else None
    return Rolling(state, over, kept, by, tuple(records), configured), records


def turned(rolling: Rolling, outcome: Outcome) -> tuple[Rolling, list[Record]]:
    """After a look or a verb."""
    state, _, records = outcome
    kept = (*rolling.records, *records)[-_MOST_RECORDS:]
    return replace(rolling, state=state, records=kept), records


def kept(
    state: ledger.State, rolling: Rolling, records: Iterable[Record], live: bool = True,
    begins: bool = False,
) -> ledger.State:  # fmt: skip
    """With the rollout as it stands. What Routers have to know of it, its shares and whether it is to be
    counted for, makes a generation. `live`: whether its shares are to hold.
    """
    model = rolling.state.model
    if (there := state.rollouts.get(model)) and not begins:
        another = there["state"]["id"] != rolling.state.id
        if another or (there["state"]["phase"] in OVER and not rolling.state.over):
            return state  # of another Steward, which shares the place: it knows more
    made = replace(state, rollouts={**state.rollouts, model: rolling.plain})
    if live and state.shares.get(model) != rolling.shares:
        made = replace(made, shares={**state.shares, model: rolling.shares})
    if made.shares != state.shares or followed(made.rollouts) != followed(state.rollouts):
        made = replace(made, generation=state.generation + 1)
    for one in records:
        made = ledger.noted(made, line(one, made.generation))
    return made


def pruned(state: ledger.State, models: Iterable[str], now: float) -> ledger.State:
    """Without rollouts and shares of models that are gone: they say nothing of another of the name."""
    for model in models:
        rollouts = {name: one for name, one in state.rollouts.items() if name != model}
        shares = {name: one for name, one in state.shares.items() if name != model}
        generation = state.generation + 1
        said = {
            "time": round(now, 3), "verb": "forget", "model": model, "generation": generation,
            "outcome": "no model of that name is configured any more: its rollout and its shares are "
            "forgotten",
        }  # fmt: skip
        state = replace(state, rollouts=rollouts, shares=shares, generation=generation)
        state = ledger.noted(state, said)
    return state


def line(record: Record, generation: int) -> dict[str, Any]:
    """Of the audit."""
    names = ("model", "version", "baseline", "weights", "by")
    return {
        "time": record["time"], "verb": f"rollout {record['what']}", "outcome": record["why"],
        "generation": generation, **{name: record[name] for name in names if name in record},
    }  # fmt: skip


def followed(rollouts: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str, str]]:
    """Of those that aren't over, by model: the id, the new version and the other one."""
    found = {}
    for model, plain in rollouts.items():
        state = plain["state"]
        if state["phase"] not in OVER:
            found[model] = (state["id"], str(state["said"]["version"]), state["baseline"])
    return found


def mark(state: ledger.State, model: str) -> str:
    """Of what a change of a model is made from: what was done to it, who answers, what is rolled out."""
    return digest([ledger.done(state, model), followed(state.rollouts).get(model)])
