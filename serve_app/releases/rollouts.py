"""The rollouts that a Steward holds: Routers' reports go in, decisions and shares come out. No Ray."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from serve_app.errors import ConfigError, InvalidArgument, NotFound
from serve_app.releases import rollout
from serve_app.releases.ledger import State
from serve_app.releases.rolling import CONFIGURATION, Rolling, begun, kept, pruned, turned
from serve_app.releases.rollout import Evidence, Outcome, Record, Refused, refuse_second
from serve_app.releases.rollout.promql import due

log = logging.getLogger("tandem")

KEEP_S = 5.0  # at most so long evidence isn't kept anywhere: what is lost with a process is lost unseen
PATIENCE_S = 1.0  # of a look with what takes long
AGAIN_S = 10.0  # after a query that failed
GONE_S = 3600.0  # a model that nobody knew for so long is gone; a deploy takes minutes
FRESH_S = 10.0  # a Router that said nothing for so long isn't asked whether its versions are ready
Write = Callable[[Callable[[State], State]], Awaitable[None]]
# An address and a query to a number; what it raises says why there is none.
Query = Callable[[str, str], Awaitable[float]]


async def nobody(address: str, query: str) -> float:
    """Where nothing can be asked."""
    raise LookupError(f"nobody asks {address} here")


@dataclass(slots=True)
class Reported:
    """What came of one rollout since the last look: evidence, and which Router is ready, since when."""

    evidence: Evidence = field(default_factory=Evidence)
    ready: dict[str, tuple[bool, float]] = field(default_factory=dict)


class Rollouts:
    """`write` keeps a new state; `tell` hears each record; `query` asks a Prometheus."""

    def __init__(
        self, state: Callable[[], State], write: Write, tell: Callable[[Record], None], query: Query
    ) -> None:
        self._state, self._write, self._tell, self._query = state, write, tell, query
        self._now: dict[str, Rolling] = {}  # what isn't kept yet goes beyond what is
        self._kept: dict[str, float] = {}
        self._reported: dict[str, Reported] = {}
        self._gone: dict[str, float] = {}  # since when nobody knows the model
        self._away: dict[str, float] = {}  # until when a query isn't asked again
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    def of(self, model: str) -> Rolling | None:
        """The last one of a model."""
        if (found := self._now.get(model)) is not None:
            return found
        plain = self._state().rollouts.get(model)
        return Rolling.of(plain) if plain else None

    def all(self) -> dict[str, Rolling]:
        """The last one of each model."""
        found = {model: self.of(model) for model in {*self._state().rollouts, *self._now}}
        return {model: one for model, one in found.items() if one is not None}

    def refuse(self, model: str) -> None:
        """Refused while one of that model is under way: whoever changes its shares would fight it."""
        if (one := self.of(model)) is not None:
            refuse_second(model, [one.state])

    def forget(self) -> None:
        """Another Steward wrote to the place that both keep it in: what it knows holds."""
        self._now.clear()

    async def begin(
        self, model: str, said: Mapping[str, Any], serves: str, over: str,
        before: Mapping[str, Any] | None, by: str, id: str = "",
    ) -> None:  # fmt: skip
        """Begin one. Of the configuration's the same isn't begun twice, and another takes its place.

        `id`: what asks twice, because a Steward died, has it done once.
        """
        async with self._turn:
            there = self.of(model)
            if there is not None and id and there.state.id == id:
                return
            if by == CONFIGURATION and there is not None:
                if there.configured == said:
                    return
                if there.by == by and not there.state.over:
                    await self._ended(model, "another one stands in the configuration")
            self.refuse(model)
            if model in self._state().under_way:
                raise Refused(f"a change of '{model}' is under way: begin the rollout after it")
            try:
                made, records = begun(model, said, serves, over, before, time.time(), by, id, there)
            except ConfigError as error:
                raise InvalidArgument(str(error)) from None
            self._reported.pop(model, None)
            await self._keep(made, records, begins=True)

    async def act(self, model: str, verb: str, by: str, id: str = "") -> None:
        """Pause, resume, abort or promote; once for an `id`."""
        acts: dict[str, Callable[[rollout.State, float, str], Outcome]] = {
            "pause": rollout.pause, "resume": rollout.resume, "abort": rollout.abort,
            "promote": rollout.promote,
        }  # fmt: skip
        async with self._turn:
            if (there := self.of(model)) is None:
                raise NotFound(f"'{model}' has no rollout")
            if id and there.asked == id:
                return
            made, records = turned(there, acts[verb](there.state, time.time(), by))
            await self._keep(replace(made, asked=id), records)

    async def configured(self, models: Mapping[str, Any]) -> None:
        """End those that stood in the configuration and don't any more."""
        async with self._turn:
            for model, one in self.all().items():
                if one.by == CONFIGURATION and not one.state.over and model not in models:
                    await self._ended(model, "it no longer stands in the configuration")

    async def known(self, models: Collection[str]) -> None:
        """Forget what is over of models that are gone. `models`: all that a Router has heard of."""
        now = time.monotonic()
        over = [model for model, one in self.all().items() if one.state.over]
        self._gone = {one: self._gone.get(one, now) for one in over if one not in models}
        gone = [model for model, since in self._gone.items() if now - since >= GONE_S]
        if gone:
            async with self._turn:
                await self._write(lambda state: pruned(state, gone, time.time()))
                for model in gone:
                    for held in (self._now, self._kept, self._reported, self._gone):
                        held.pop(model, None)

    async def overruled(self, model: str) -> None:
        """A deploy changed the traffic that one went over."""
        async with self._turn:
            if (one := self.of(model)) is not None and not one.state.over:
                await self._ended(model, "a deploy changed its traffic", live=False)

    def hear(self, router: str, said: Mapping[str, Mapping[str, Any]]) -> None:
        """What a Router counted since the last time, by model; and whether both versions are ready."""
        now = time.monotonic()
        for model, one in said.items():
            there = self.of(model)
            if there is None or there.state.over or there.state.id != one["id"]:
                continue
            reported = self._reported.setdefault(model, Reported())
            reported.evidence += Evidence.of(one["evidence"])
            reported.ready[router] = (one["ready"], now)

    async def look(self) -> None:
        """Weigh what came, and take what follows from it: a model that takes long holds up no other."""
        for model, one in self.all().items():
            if not one.state.over and model not in self._looking:
                self._looking[model] = asyncio.create_task(self._look(model, one))
        if self._looking:
            await asyncio.wait(self._looking.values(), timeout=PATIENCE_S)
        done = {model: task for model, task in self._looking.items() if task.done()}
        for model in done:
            del self._looking[model]
        errors = [error for task in done.values() if (error := task.exception())]
        if errors:
            raise errors[0]

    async def _look(self, model: str, one: Rolling) -> None:
        looks = await self._looked(one)
        async with self._turn:
            there = self.of(model)
            if there is None or there.state.id != one.state.id or there.state.over:
                return
            reported = self._reported.setdefault(model, Reported())
            evidence = reported.evidence + Evidence(looks=looks)
            reported.evidence = Evidence()
            outcome = rollout.step(there.state, evidence, time.time(), _ready(reported))
            made, records = turned(there, outcome)
            changed = bool(records) or made.shares != there.shares
            stale = time.monotonic() - self._kept.get(model, 0) >= KEEP_S and evidence != Evidence()
            if not changed and not stale:
                self._now[model] = made
                return
            try:
                await self._keep(made, records)
            except BaseException:  # it is weighed again when it can be kept
                reported.evidence = evidence + reported.evidence
                raise

    async def _looked(self, one: Rolling) -> dict[str, tuple[float, float]]:
        """What queries say, of those whose time has come."""
        found: dict[str, tuple[float, float]] = {}
        for query in due(one.state, time.time()):
            key = f"{one.state.id}/{query.name}"
            if time.monotonic() < self._away.get(key, 0.0):
                continue
            try:
                canary = await self._query(query.address, query.canary)
                found[query.name] = canary, await self._query(query.address, query.baseline)
            except Exception as error:  # nothing is known: the tests wait
                self._away[key] = time.monotonic() + AGAIN_S
                log.warning("rollout of %s: %s can't be asked: %s", one.state.model, query.name, error)
        return found

    async def _ended(self, model: str, why: str, live: bool = True) -> None:
        there = self.of(model)
        assert there is not None
        state, weights, records = rollout.abort(there.state, time.time())
        made, told = turned(there, (state, weights, [{**one, "why": why} for one in records]))
        await self._keep(made, told, live)

    async def _keep(
        self, made: Rolling, records: list[Record], live: bool = True, begins: bool = False
    ) -> None:
        model = made.state.model
        await self._write(lambda state: kept(state, made, records, live, begins))
        self._now.pop(model, None)
        self._kept[model] = time.monotonic()
        if (self._state().rollouts.get(model) or {}) == made.plain:
            for one in records:
                self._tell(one)


def _ready(reported: Reported) -> bool:
    now = time.monotonic()
    fresh = [ready for ready, heard in reported.ready.values() if now - heard < FRESH_S]
    return bool(fresh) and all(fresh)
