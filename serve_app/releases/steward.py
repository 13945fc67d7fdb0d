"""Holds the desired state and sees that it is served. No Ray: it is told how to look, where to write."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from serve_app.errors import KINDS, DeadlineExceeded, Gone, InvalidArgument, TandemError, Unavailable
from serve_app.releases import ledger, rolling
from serve_app.releases.brought import Brought
from serve_app.releases.change import TRAFFIC, Change
from serve_app.releases.judged import Ack, Failed, partly, unserved
from serve_app.releases.ledger import State
from serve_app.releases.live import Parts
from serve_app.releases.rollout import Record
from serve_app.releases.rollouts import Query, Rollouts, nobody
from serve_app.releases.store import STATE, Store
from serve_app.routing.tally import summed

log = logging.getLogger("tandem")

LOOK_S = 0.5  # between two looks at who serves
_GONE_S = 60.0  # a Router that said nothing for so long is gone
_HEARD_S = 10.0  # a Router that said nothing for so long isn't waited for, where Serve can't be asked


class Steward:
    """`routers` are those that take requests, by Serve's word; `reread` lets a model's applications look
    at their files for a generation, and says why one can't; `tell` hears each line of the audit; `query`
    asks a Prometheus.
    """

    def __init__(
        self,
        store: Store,
        routers: Callable[[], set[str]],
        reread: Callable[[str, int], Awaitable[str]],
        timeout: float,
        tell: Callable[[Mapping[str, Any]], None],
        query: Query = nobody,
    ) -> None:
        self._store, self._routers, self._reread = store, routers, reread
        self._timeout, self._tell = timeout, tell
        self.state = ledger.decoded(store.get(STATE))
        self.acks: dict[str, Ack] = {}
        self._heard = 0  # how often a Router said what it serves
        self.rollouts = Rollouts(lambda: self.state, self._write, self._told_of, query)
        self._news = asyncio.Condition()
        self._turns: dict[str, asyncio.Lock] = {}
        self._writing = asyncio.Lock()
        self._look = 0
        self.brought = Brought(store)

    async def resume(self) -> None:
        """See the changes through that nobody sees through: of a Steward before this, or whose end
        couldn't be written."""
        for model in list(self.state.under_way):
            if (turn := self._turn(model)).locked():
                continue
            async with turn:
                if model not in self.state.under_way:
                    continue
                try:
                    await self._seen_through(model)
                except Exception as error:  # of one model: the others come after it
                    log.warning("what was under way of '%s': %s", model, error)

    async def look(self) -> None:
        """Take what another cluster wrote to the place that both keep it in."""
        async with self._writing:
            newest = ledger.decoded(await asyncio.to_thread(self._store.get, STATE))
            if newest.generation <= self.state.generation:
                return
            self.state = newest
            self.rollouts.forget()
        async with self._news:
            self._news.notify_all()

    async def change(self, change: Change) -> None:
        """Returns when every Router serves it; TandemError says why it isn't served, Gone that it was
        made from what is no longer so.

        A change whose `id` is known is only waited for.
        """
        async with self._turn(change.model):
            if change.verb == TRAFFIC:
                self.rollouts.refuse(change.model)
            line = self.state.line(change.id)
            if line is None:
                if change.model in self.state.under_way:  # of one before this Steward
                    with contextlib.suppress(TandemError):
                        await self._seen_through(change.model)
                if change.mark not in ("", rolling.mark(self.state, change.model)):
                    raise Gone(f"failed to {change.verb} '{change.model}': it was changed meanwhile")
                if change.read and change.remote and (reason := await self._looked(change)):
                    await self._refused(change, reason)
                    raise InvalidArgument(f"failed to {change.verb} '{change.model}': {reason}")
                await self._write(lambda state: ledger.begun(state, change, time.time()))
                self._told(change.id)
            if change.model in self.state.under_way:
                await self._seen_through(change.model)
            elif line is not None and line["outcome"] != "served":
                raise KINDS[line.get("kind", InvalidArgument.__name__)](str(line["outcome"]))

    async def follow(self, router: str, seen: int, ack: Ack, patience: float) -> State:
        """The state, as soon as it is another one than `seen`, or after so many seconds."""
        await self.serves(router, ack)
        async with self._news:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait_for(lambda: self.state.generation != seen)
        if router in self.acks:
            self.acks[router].heard = time.monotonic()
        return self.state

    async def serves(self, router: str, ack: Ack) -> None:
        """A Router says what it serves."""
        now = ack.heard = time.monotonic()
        self.acks[router] = ack
        self._heard += 1
        self.acks = {name: one for name, one in self.acks.items() if now - one.heard < _GONE_S}
        async with self._news:
            self._news.notify_all()

    def shadowed(self, model: str) -> dict[str, Any]:
        """What came of the copies of a model's requests, of all Routers with the newest `config`."""
        heard = sorted(self.acks.values(), key=lambda ack: ack.heard)
        found = [ack.shadows[model] for ack in heard if model in ack.shadows]
        config = found[-1]["config"] if found else None
        same = [one for one in found if one["config"] == config]
        most = config["examples"] if config else 0
        return {"model": model, "config": config, "routers": len(same), **summed(same, most)}

    async def drop(self, model: str, over: Parts) -> None:
        """A deploy changed what something was done over."""
        async with self._turn(model):
            before = self.state
            await self._write(lambda state: ledger.dropped(state, model, over, time.time()))
            if self.state is not before:
                self._tell(self.state.audit[-1])

    async def redirect(self, model: str, over: str) -> None:
        """A deploy changed what traffic was given over."""
        async with self._turn(model):
            before = self.state
            await self._write(lambda state: ledger.redirected(state, model, over, time.time()))
            if self.state is not before:
                self._tell(self.state.audit[-1])
                await self.rollouts.overruled(model)

    async def note(self, line: Mapping[str, Any]) -> None:
        """Keep a line of the audit: with the next change it is written."""
        async with self._writing:
            self.state = ledger.noted(self.state, line)

    async def _seen_through(self, model: str) -> None:
        one = self.state.under_way[model]
        missing, failed = await self._acked(model, one.generation, (one.verb, one.version))
        if failed:
            router, found = next(iter(failed.items()))
            reason = unserved(found, one.verb, one.version)
            said = f"failed to {one.verb} '{model}': {reason} (Router {router})"
            # As configured, the versions that can be loaded serve, as after a start.
            undo = not (partly(found) and model not in self.state.layer)
            await self._write(lambda state: ledger.ended(state, model, said, time.time(), undo))
            self._told(one.id)
            await self._acked(model, self.state.generation)
            raise InvalidArgument(said)
        if missing:
            said = (
                f"'{model}': not served within {self._timeout:g} s by Router {', '.join(missing)}; it "
                f"stays wanted (generation {one.generation})"
            )
            kind = DeadlineExceeded.__name__
            await self._write(lambda state: ledger.ended(state, model, said, time.time(), kind=kind))
            self._told(one.id)
            raise DeadlineExceeded(said)
        await self._write(lambda state: ledger.ended(state, model, "served", time.time()))
        self._told(one.id)
        await self.brought.sweep(self.state.uploads)

    async def _acked(
        self, model: str, generation: int, asked: tuple[str, str] = ("load", "")
    ) -> tuple[list[str], dict[str, Failed]]:
        """Who doesn't serve that generation in the end, and how the model fails who can't serve it."""
        deadline = time.monotonic() + self._timeout
        while True:
            # Said before Serve is asked: with an answer that comes meanwhile, a Router may have come
            # that Serve doesn't name yet.
            acks, heard = dict(self.acks), self._heard
            wanted = await self._wanted()
            if (left := deadline - time.monotonic()) <= 0:
                acks = self.acks  # nothing is waited for any more
            told = [one for one in wanted if one in acks and acks[one].generation >= generation]
            missing = [one for one in wanted if one not in told]
            failed = {one: how for one in told if (how := self._now(one, acks).failed.get(model))}
            failed = {one: how for one, how in failed.items() if unserved(how, *asked)}
            if failed or not missing:
                return missing, failed
            if left <= 0:
                return missing, {}
            await self._hear(heard, min(LOOK_S, left))

    async def _hear(self, heard: int, seconds: float) -> None:
        """Wait until a Router says something that `heard` doesn't count, at most so long."""
        async with self._news:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait_for(lambda: self._heard != heard)

    async def _wanted(self) -> list[str]:
        try:
            return sorted(await asyncio.to_thread(self._routers))
        except Exception as error:  # Serve's controller is away: those that speak are there
            log.warning("Serve can't say which Routers there are: %s", error)
            recent = time.monotonic() - _HEARD_S
            found = sorted(name for name, ack in self.acks.items() if ack.heard > recent)
            return found or ["that nobody can name"]  # to wait for

    async def _looked(self, change: Change) -> str:
        # Another one than the last, though nothing was kept of that.
        self._look = max(self._look, self.state.generation) + 1
        return await self._reread(change.model, self._look)

    async def _refused(self, change: Change, reason: str) -> None:
        """A generation of its own: the next look is another one to the replicas. Routers ask them, too,
        which may come to it by themselves."""
        line = ledger.said(change, time.time(), reason, self.state.generation + 1)

        def noted(state: State) -> State:
            now = state.generation + 1
            reads = {**state.reads, change.model: now}
            return replace(ledger.noted(state, line), generation=now, reads=reads)

        await self._write(noted)
        self._tell(line)

    def _now(self, router: str, acks: Mapping[str, Ack]) -> Ack:
        return self.acks.get(router, acks[router])

    async def _write(self, made: Callable[[State], State]) -> None:
        """Kept first, then known: what a Router was told is never lost. To be called by what nobody
        breaks off (serve_app.core.to_the_end): a thread writes on, and another write may come before."""
        async with self._writing:
            try:
                newest = ledger.decoded(await asyncio.to_thread(self._store.get, STATE))
            except Exception as error:
                log.error("the desired state can't be read: %s", error)
                raise Unavailable(f"the change can't be kept: {error}") from error
            if newest.generation > self.state.generation:  # another one's, before this was replaced
                self.state = newest
                self.rollouts.forget()
            state = made(self.state)
            if state is self.state:
                return
            try:
                await asyncio.to_thread(self._store.put, STATE, state.encoded())
            except Exception as error:
                log.error("the desired state can't be written: %s", error)
                raise Unavailable(f"the change can't be kept: {error}") from error
            self.state = state
        async with self._news:
            self._news.notify_all()

    async def polled(self, found: Mapping[str, str]) -> None:
        """Keep what the poller acted on last, by model."""
        await self._write(lambda state: replace(state, polled={**state.polled, **found}))

    def _told_of(self, record: Record) -> None:
        self._tell(rolling.line(record, self.state.generation))

    def _told(self, id: str) -> None:
        if line := self.state.line(id):
            self._tell(line)

    def _turn(self, model: str) -> asyncio.Lock:
        return self._turns.setdefault(model, asyncio.Lock())
