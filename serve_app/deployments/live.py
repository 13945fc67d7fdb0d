"""What a Router does with live changes: it serves its configuration with them, and says which it serves.

Only where `admin` is configured. Requests don't meet it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.config import RouterUserConfig, Traffic, parse
from serve_app.core.directory import INLINE, Directory, Model
from serve_app.core.version import State as VersionState
from serve_app.deployments.conductor import Conductor
from serve_app.deployments.counting import Counting
from serve_app.errors import ConfigError, Unavailable
from serve_app.hop.failures import first_line
from serve_app.releases import applications as serves
from serve_app.releases import ledger
from serve_app.releases.applications import RemoteApp
from serve_app.releases.judged import Ack, Failed
from serve_app.releases.ledger import State
from serve_app.releases.live import Merged, merged, parts
from serve_app.releases.store import STATE, Store
from serve_app.releases.uploads import Published

log = logging.getLogger("tandem")

PAUSE_S = 0.5  # before a Steward is asked again that didn't answer
FIRST_S = 60.0  # a Router doesn't start without the state; after so long it says so
ASK_S = 5.0  # that a Router which starts waits for the Steward, beside what is kept
LOST = (RayError, RayServeException, TimeoutError)


class LiveChanges:
    """Of one Router, `name`; `places`: whether the Steward wants to know where models lie."""

    def __init__(
        self,
        name: str,
        steward: DeploymentHandle[Any],
        store: Store,
        conductor: Conductor,
        directory: Directory,
        places: bool,
    ) -> None:
        self.name, self._steward, self._store = name, steward, store
        self._conductor, self._directory, self._with_places = conductor, directory, places
        self.published = Published()
        self.counting = Counting(directory)
        self.observe: Callable[[], None] = lambda: None  # called when that begins or ends to listen
        self.state = State()
        self.base = RouterUserConfig()
        self.apps: dict[str, dict[str, str]] = {}  # by model, with digests of what configures them
        self._uris: dict[str, str] = {}
        self._merged = Merged(self.base)
        self._configured = False
        self._follow: Callable[[], None] = lambda: None
        self.shadows: Callable[[], Mapping[str, Any]] = dict
        self.served = -1
        self._settling = asyncio.Lock()  # one after the other: the later one implies the earlier
        self._read: dict[str, int] = {}

    async def first(self) -> None:
        """The state that holds now. Unavailable: it can't be had."""
        until = time.monotonic() + FIRST_S
        while True:
            try:
                state = await self._newest()
                await self._fetch(state)
                self._take(state)
                self._read = dict(state.reads)
                return
            except Exception as error:
                if time.monotonic() > until:
                    raise Unavailable(f"the desired state can't be read: {error}") from error
                log.warning("the desired state can't be read yet: %s", error)
            await asyncio.sleep(PAUSE_S)

    async def _newest(self) -> State:
        """What is kept, or what the Steward knows: one of them may be away, and a folder another's."""
        kept, trouble = None, None
        try:
            kept = ledger.decoded(await asyncio.to_thread(self._store.get, STATE))
        except Exception as error:
            trouble = error
        try:
            async with asyncio.timeout(ASK_S):
                told = await self._steward.follow.remote(self.name, -1, asdict(self.ack()))
        except LOST:  # it starts, too
            if kept is None:
                raise trouble or Unavailable("nothing is known of it") from None
            return kept
        known = ledger.decoded(told)
        return known if kept is None or known.generation > kept.generation else kept

    def over(self, config: RouterUserConfig) -> RouterUserConfig:
        """The configuration as it is to be served."""
        self.base = config
        self._merge(own=True)
        self._configured = True
        return self._merged.config

    def visible(
        self, found: Mapping[str, Any], apps: Mapping[str, RemoteApp], follow: Callable[[], None]
    ) -> dict[str, RemoteApp]:
        """Those of the applications that Serve has whose models aren't unloaded.

        `follow` looks at them again.
        """
        said = serves.said(found)
        self._follow = follow
        self._uris = {
            app.model: str(uri)
            for name, app in apps.items()
            if (uri := serves.arguments(found[name]).get("storageUri"))
        }
        if said != self.apps:
            before, self.apps = self._merged.config, said
            self._merge(own=self._configured)
            if self._configured and self._merged.config != before:
                self._conductor.configure(self._merged.config)
        return {name: app for name, app in apps.items() if app.model not in self._merged.off}

    @property
    def parts(self) -> dict[str, dict[str, str]]:
        """What configures each model now."""
        return parts(self.base.models, self.apps)

    def traffic(self, model: str) -> dict[str, Any]:
        """What is said of a model's traffic: while the service runs, or else by the configuration."""
        if self.shares(model):
            return dict(self.state.shares[model].config)
        routing = self.base.routing.get(model)
        said = routing.traffic if routing else None
        return said.model_dump(mode="json", by_alias=True, exclude_defaults=True) if said else {}

    def shares(self, model: str) -> bool:
        """Whether its traffic is a live change's."""
        return model in self.state.shares and model not in self._merged.redirected

    async def run(self) -> None:
        """Follow the Steward for as long as this Router lives."""
        seen = -1  # so that the first answer comes at once
        while True:
            try:
                kept = await self._steward.follow.remote(self.name, seen, asdict(self.ack()))
                if kept:
                    state = ledger.decoded(kept)
                    await self._fetch(state)
                    self._conductor.background.spawn(self._settle(self._taken(state)))
                    seen = state.generation
            except LOST as error:
                log.warning("the Steward doesn't answer, what is served stays: %s", first_line(error))
                await asyncio.sleep(PAUSE_S)
            except Exception:
                log.exception("following the Steward failed; it will be tried again")
                await asyncio.sleep(PAUSE_S)

    def _taken(self, state: State) -> State:
        """Want what it says; it is served later."""
        if state.generation < self.state.generation:
            log.error("the desired state is an older one: what was kept was lost, or put back")
            self.served = -1
        before = self._merged.config
        self._take(state)
        if self._configured and self._merged.config != before:
            self._conductor.configure(self._merged.config)
        self._follow()
        self.published.prune(state.uploads)
        return state

    async def _settle(self, state: State) -> None:
        """Wait until it is served, or known not to be, then say so."""
        try:
            async with self._settling:
                await self._conductor.adopted()
                await self._look_again(state.reads)
                await self._conductor.adopted()
                await self._conductor.described()
                self.served = max(self.served, state.generation)
            await self._steward.serves.remote(self.name, asdict(self.ack()))
        except LOST as error:  # the next question for news brings it
            log.warning("the Steward doesn't hear what is served: %s", first_line(error))
        except Exception:
            log.exception("generation %d can't be settled", state.generation)

    async def _look_again(self, reads: Mapping[str, int]) -> None:
        names = {name for name, at in reads.items() if at > self._read.get(name, 0)}
        self._read = {**self._read, **reads}
        if names:
            await self._conductor.read_again(names)
            for source in self._conductor.sources(names):
                await self._conductor.ask_again(source)

    async def _fetch(self, state: State) -> None:
        """The files that it needs and that aren't here: from where they are kept, or the Steward."""
        for digest in state.uploads:
            if self.published.has(digest):
                continue
            whole = await asyncio.to_thread(self._store.get, f"upload-{digest}")
            if whole is None:
                whole = await self._steward.uploaded.remote(digest)
            if whole is None:
                log.error("the files of upload %s are nowhere", digest[:12])
                continue
            try:
                await asyncio.to_thread(self.published.publish, digest, whole)
            except ConfigError as error:  # its model says so
                log.error("%s", error)

    def _take(self, state: State) -> None:
        self.state, before = state, self.counting.active
        self._conductor.applications.ordered = state.looked
        self.counting.follow(state.rollouts)
        if self.counting.active != before:
            self.observe()
        self._merge()

    def _merge(self, own: bool = False) -> None:
        """`own`: this Router's own configuration is another one. What others did over one that this
        Router doesn't know yet isn't its to drop.
        """
        state = self.state
        self._merged = made = merged(
            self.base, self.apps, state.layer, self.published.folder, state.shares
        )
        self._directory.unloaded = made.off
        for name in made.overruled | made.redirected if own else ():
            self._conductor.background.spawn(self._drop(name))

    async def _drop(self, name: str) -> None:
        live, shares = self.state.layer.get(name), self.state.shares.get(name)
        kind = "not told"
        while kind:
            kind, said = "", ""
            try:
                if live and name in self._merged.overruled:
                    kind, said = await self._steward.drop.remote(name, dict(live.over))
                if not kind and shares and name in self._merged.redirected:
                    kind, said = await self._steward.redirect.remote(name, shares.over)
            except LOST as error:
                kind, said = "lost", first_line(error)
            if kind:
                log.warning("the Steward hasn't taken that a deploy changed %s: %s", name, said)
                await asyncio.sleep(PAUSE_S)

    def differs(self) -> dict[str, str]:
        """Models that aren't as the configuration has them, and in what."""
        made, found = self._merged, dict[str, str]()
        for name, live in self.state.layer.items():
            if name not in made.overruled:
                found[name] = "unloaded" if live.off else "entry"
        for name in self.state.shares:
            if self.shares(name) and self._split(name):
                found[name] = f"{found[name]}, traffic" if name in found else "traffic"
        return found

    def _split(self, name: str) -> bool:
        """Whether live traffic says anything else than the configuration would."""
        routing = self.base.routing.get(name)
        config = parse(Traffic, self.state.shares[name].config)
        if routing and routing.traffic:
            return config != routing.traffic
        most = [version for version, weight in config.weights.items() if weight == 100]
        said = routing.default_version if routing else None
        return most != [said] if said else True

    def ack(self) -> Ack:
        """What this Router serves, and what it can't."""
        failed = {name: Failed({"": reason}) for name, reason in self._merged.reasons.items()}
        for name in self._merged.overruled | self._merged.redirected:
            failed[name] = Failed({"": "a deploy changed its configuration meanwhile"}, overruled=True)
        for name, model in self._directory.models.items():
            if reasons := _why(model):
                there = [
                    one.number for one in model.versions.values() if one.state is VersionState.READY
                ]
                failed.setdefault(name, Failed(reasons, there))
        places: dict[str, str] = {}
        if self._with_places:
            uris = {one.name: one.storage_uri for one in self._merged.config.models}
            places = {**self._uris, **{name: uri for name, uri in uris.items() if uri}}
        return Ack(self.served, failed, places, shadows=self.shadows())


def _why(model: Model) -> Mapping[str, str]:
    """Why versions of it aren't as they are wanted, by '' for the whole; nothing where all are."""
    if reasons := model.refused.by_version:
        return reasons
    if model.answering():
        return {}
    waiting = [why for source, why in model.waiting.items() if source != INLINE]
    return {"": waiting[0]} if waiting else {}
