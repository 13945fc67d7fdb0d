"""A rollout's way: pending, step after step, then promoted, rolled back, aborted or inconclusive. Pure.

`step` takes what came since the look before; the other verbs are people's. Each gives the state after
it, percent of the requests by version, and a record for each decision.
"""

from collections.abc import Iterable

from serve_app.config import Rollout
from serve_app.errors import InvalidArgument
from serve_app.releases.rollout.evidence import Evidence
from serve_app.releases.rollout.records import Record, record, sentence, strongest, weakest
from serve_app.releases.rollout.state import Phase, State
from serve_app.releases.rollout.weighing import Verdict, verdict, weighed

Outcome = tuple[State, dict[str, float], list[Record]]


class Refused(InvalidArgument):
    """What was asked of a rollout can't be."""

    audited = True


def refuse_second(model: str, states: Iterable[State]) -> None:
    """Refused where that model is being rolled out already."""
    for state in states:
        if state.model == model and not state.over:
            raise Refused(
                f"a rollout of '{model}' to version {state.config.version} is {state.phase}: "
                "abort or promote it first"
            )


def start(model: str, config: Rollout, serves: str, now: float, id: str, by: str = "") -> Outcome:
    """A rollout that begins when its version is there. `serves`: the version that serves now."""
    baseline = config.baseline or serves
    if baseline == config.version:
        raise Refused(
            f"version {config.version} of '{model}' serves already: expected another one to roll out"
        )
    said = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    state = State(id, model, said, baseline, began=now, since=now)
    return _told(state, "start", f"from version {baseline} to {config.version}", now, by)


def step(state: State, evidence: Evidence, now: float, ready: bool = True) -> Outcome:
    """With the evidence since the look before. `ready`: both versions are there and answer."""
    if state.over:
        return state, state.weights, []
    if state.phase == "pending":
        if ready:
            state = state.now(phase="running", since=now)
            return _told(state, "step", _share(state), now)
        if now - state.began < state.config.max_duration:
            return state, state.weights, []
        return _told(state.now(phase="rolledBack"), "rollback", "its version was never ready", now)
    state = weighed(state, evidence, now)
    found = verdict(state)
    if found.worse and not state.advice:
        return _decided(state, "rollback", sentence(state, strongest(state)), now)
    if not ready:  # nothing is compared, and nothing is promoted that isn't there
        if now - state.began < state.config.max_duration:
            return state, state.weights, []
        return _decided(
            state, "rollback", "one of the versions isn't ready, and maxDuration is over", now
        )
    if state.phase == "paused":
        return state, state.weights, []
    if state.phase == "inconclusive":
        return _held(state, found, now)
    if now - state.began >= state.config.max_duration:
        return _end(state, found, now, "maxDuration is over")
    return _onward(state, found, now)


def pause(state: State, now: float, by: str = "") -> Outcome:
    """The share stays as it is until `resume`; what is worse is rolled back all the same."""
    if state.phase != "running":
        raise _refused(state, "paused")
    return _told(state.now(phase="paused", paused=now), "pause", "asked for", now, by)


def resume(state: State, now: float, by: str = "") -> Outcome:
    """Go on: with the step that was paused, or past the pause that ends one."""
    if state.phase != "paused" or state.paused is None:
        raise _refused(state, "resumed")
    if state.advice and _last(state):
        raise Refused(f"the dry run of '{state.model}' is over: promote or abort it")
    away = now - state.paused
    here = state.config.steps[state.step]
    state = state.now(phase="running", paused=None, began=state.began + away, since=state.since + away)
    if here.pause and _over(state, now):
        return _past(state, verdict(state), now, by)
    return _told(state, "resume", "asked for", now, by)


def abort(state: State, now: float, by: str = "") -> Outcome:
    """All requests to the version of before."""
    if state.over:
        raise _refused(state, "aborted")
    return _told(state.now(phase="aborted"), "abort", "asked for", now, by)


def promote(state: State, now: float, by: str = "") -> Outcome:
    """All requests to the new version, whatever the tests say."""
    if state.over:
        raise _refused(state, "promoted")
    return _told(state.now(phase="promoted"), "promote", "asked for", now, by)


def _onward(state: State, found: Verdict, now: float) -> Outcome:
    if not _over(state, now):
        return state, state.weights, []
    if state.config.steps[state.step].pause and state.held is None:
        state = state.now(phase="paused", paused=now)
        return _told(state, "pause", f"step {state.step} of the rollout ends with one", now)
    return _past(state, found, now)


def _past(state: State, found: Verdict, now: float, by: str = "") -> Outcome:
    """What comes after a step that is over."""
    if _last(state):
        return _end(state, found, now, "the steps are over", by)
    if found.doubtful and not state.config.dry_run:
        return _in_doubt(state, found, now, by)
    state = state.now(step=state.step + 1, since=now, answered=0, held=None)
    return _told(state, "step", _share(state), now, by)


def _in_doubt(state: State, found: Verdict, now: float, by: str = "") -> Outcome:
    then = state.config.inconclusive
    metric = strongest(state) if found.rollback >= found.to_rollback / 2 else weakest(state)
    if state.held is None:
        why = f"no more requests for now: {sentence(state, metric)}"
        return _told(state.now(held=now), "hold", why, now, by)
    if now - state.held < then.hold:
        return state, state.weights, []
    why = f"in doubt for {then.hold:g} s: {sentence(state, metric)}"
    return _decided(state, then.then, why, now)


def _end(state: State, found: Verdict, now: float, why: str, by: str = "") -> Outcome:
    if state.advice:  # of a dry run: a rollback
        why = f"{why}: {sentence(state, strongest(state))}"
        return _told(state.now(phase="paused", paused=now), "pause", why, now, by)
    if found.fine:
        return _decided(state, "promote", sentence(state, weakest(state)), now, by)
    state = state.now(phase="inconclusive", since=now)
    then = state.config.inconclusive
    why = f"{why}, and the tests can't say yet: {sentence(state, weakest(state))}; " + (
        f"in {then.hold:g} s: {then.then}"
    )
    return _told(state, "inconclusive", why, now, by)


def _held(state: State, found: Verdict, now: float) -> Outcome:
    then = state.config.inconclusive
    if found.fine:
        return _decided(state, "promote", sentence(state, weakest(state)), now)
    if now - state.since < then.hold:
        return state, state.weights, []
    why = f"inconclusive for {then.hold:g} s: {sentence(state, weakest(state))}"
    return _decided(state, then.then, why, now)


def _decided(state: State, what: str, why: str, now: float, by: str = "") -> Outcome:
    if not state.config.dry_run:
        phase: Phase = "promoted" if what == "promote" else "rolledBack"
        return _told(state.now(phase=phase, paused=None), what, why, now, by)
    state = state.now(advice=what)
    if state.phase == "paused" or (state.phase == "running" and not _last(state)):
        return _told(state, what, why, now, by)  # and on it goes
    return _told(state.now(phase="paused", paused=now), what, why, now, by)


def _last(state: State) -> bool:
    return state.step == len(state.config.steps) - 1


def _over(state: State, now: float) -> bool:
    here = state.config.steps[state.step]
    return now - state.since >= (here.duration or 0) and state.answered >= (here.requests or 0)


def _share(state: State) -> str:
    here = state.config.steps[state.step]
    return f"step {state.step}: {here.weight:g} % to version {state.config.version}"


def _told(state: State, what: str, why: str, now: float, by: str = "") -> Outcome:
    return state, state.weights, [record(state, what, why, now, by)]


def _refused(state: State, done: str) -> Refused:
    return Refused(f"the rollout of '{state.model}' is {state.phase}: it can't be {done}")
