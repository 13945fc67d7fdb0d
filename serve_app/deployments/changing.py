"""Takes what the repository API is asked to the Steward."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import Admin, InlineModel, Rollout, did_you_mean, parse
from serve_app.core import describe
from serve_app.core.directory import Directory, Model
from serve_app.core.version import State
from serve_app.deployments.live import LOST, PAUSE_S, LiveChanges
from serve_app.deployments.rolling import beginning
from serve_app.errors import KINDS, ConfigError, Gone, InvalidArgument, NotFound, Unavailable
from serve_app.hop.failures import first_line
from serve_app.releases import ledger
from serve_app.releases.asked import Asked
from serve_app.releases.change import Change, Known, change, shared
from serve_app.releases.live import directed, entry
from serve_app.releases.rolling import followed, mark
from serve_app.releases.uploads import packed
from serve_app.repository.storage import local_path

_CHANGED_S = 0.05  # until this Router has heard of another change
_BESIDE_S = 30.0  # that a Steward has to come back, beside what a change may take


class Changing:
    """`fits(models)` raises ConfigError for models that can't be in this Router."""

    def __init__(
        self,
        admin: Admin,
        live: LiveChanges,
        steward: DeploymentHandle[Any],
        directory: Directory,
        fits: Callable[[list[InlineModel]], None],
    ) -> None:
        self._admin, self._live, self._steward = admin, live, steward
        self._directory, self._fits = directory, fits

    def known(self, model: str) -> bool:
        """Whether there is, or was, a model of that name."""
        return model in self._live.parts or model in self._live.state.layer

    async def audit(self) -> Mapping[str, Any]:
        """What was done, by the Steward's word or as far as this Router heard; and what it serves."""
        try:
            kept = await self._steward.follow.remote(self._live.name, -1, asdict(self._live.ack()))
            lines = ledger.decoded(kept).audit
        except LOST:
            lines = self._live.state.audit
        return {
            "router": self._live.name,
            "generation": self._live.served,
            "audit": list(lines),
        }

    async def shadowed(self, model: str) -> Mapping[str, Any]:
        """What came of the copies of a model's requests, of all Routers; NotFound for no model.

        What this one has done is in it; others said it up to some seconds ago.
        """
        reason = self._directory.model(model).unshadowed()
        ack = asdict(self._live.ack())
        try:
            await self._steward.serves.remote(self._live.name, ack)
            found = await self._steward.shadowed.remote(model)
        except LOST as error:
            raise Unavailable(f"the Steward doesn't answer: {first_line(error)}") from None
        return {**found, "refused": reason}

    async def apply(self, asked: Asked, by: str) -> None:
        """Returns when every Router serves it. TandemError says why that can't be."""
        digest, whole = "", b""
        if asked.files:
            digest, whole = await asyncio.to_thread(packed, asked.files)

        def make() -> Change:
            made = change(asked, self._known(asked.model), self._admin.allow, _local, digest)
            self._check(made)
            return made

        if whole:
            make()  # or why it can't be
            await self._ask("upload", digest, whole)
        await self._made(make, by, counts=bool(asked.version))

    async def _made(self, make: Callable[[], Change], by: str, counts: bool) -> None:
        """Ask for what `make` makes of what is known, anew where another change came first. `counts`:
        which versions there are counts for it, so what is under way is waited for."""
        until, live = time.monotonic() + self._admin.timeout, self._live
        while True:
            while counts and live.served < live.state.generation and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(_CHANGED_S)
            made = replace(make(), id=uuid.uuid4().hex, by=by)
            try:
                return await self._ask("change", made.plain)
            except Gone:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_CHANGED_S)

    def traffic(self, model: str) -> Mapping[str, Any]:
        """As this Router shares it, and by whose word."""
        found = describe.traffic(self._directory, model)
        return {**found, "source": "live" if self._live.shares(model) else "configuration"}

    async def direct(self, model: str, traffic: object, by: str) -> None:
        """Share a model's requests so in every Router."""

        def make() -> Change:
            there = [one for one in self._directory.model(model).versions if one]
            made = shared(model, traffic, there, directed(self._live.base, model))
            return replace(made, mark=mark(self._live.state, model))

        await self._made(make, by, counts=True)

    async def rollout(self, model: str) -> Mapping[str, Any]:
        """The last one of a model, by the Steward's word."""
        self._directory.model(model)
        try:
            found: Mapping[str, Any] = await self._steward.rollouts.remote()
        except LOST as error:
            raise Unavailable(f"the Steward doesn't answer: {first_line(error)}") from None
        routing = self._live.base.routing.get(model)
        wanted = routing.rollout if routing else None
        if model not in found:
            yet = " yet: it begins when both of its versions are ready" if wanted else ""
            raise NotFound(f"'{model}' has no rollout{yet}")
        one: Mapping[str, Any] = found[model]
        said = wanted.model_dump(mode="json", by_alias=True, exclude_defaults=True) if wanted else None
        return {**one, "waits": said is not None and said != one["configured"]}

    async def roll(self, model: str, verb: str, said: object, by: str) -> None:
        """Begin a rollout, of the configuration where nothing else is said, or do something to it."""
        there = self._directory.model(model)
        if verb != "start":
            if verb == "promote":
                await self._check_promotion(model, there)
            return await self._ask("act", model, verb, by, uuid.uuid4().hex)
        routing = self._live.base.routing.get(model)
        configured = routing.rollout if routing else None
        if said is None and configured is None:
            raise InvalidArgument(
                f"rollout: expected one, for the configuration has none of '{model}' "
                f"(routing.{model}.rollout)"
            )
        try:
            one = configured if said is None else parse(Rollout, said, "rollout")
        except ConfigError as error:
            raise InvalidArgument(f"failed to roll out '{model}': {error}") from None
        assert one is not None
        for where, number in (("version", one.version), ("baseline", one.baseline)):
            if number is not None and number not in there.versions:
                raise InvalidArgument(
                    f"failed to roll out '{model}': rollout.{where}: no version {number} is loaded"
                    f"{did_you_mean(number, there.versions)}"
                )
        plain = one.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        asked = beginning(self._live, self._directory, model, plain, by or "somebody")
        return await self._ask("begin", model, {**asked, "id": uuid.uuid4().hex[:12]})

    async def _check_promotion(self, name: str, model: Model) -> None:
        version = str((await self.rollout(name))["version"])
        there = model.versions.get(version)
        if there is None or there.state is not State.READY:
            raise InvalidArgument(f"failed to promote '{name}': version {version} isn't ready")

    async def refused(self, line: Mapping[str, Any]) -> None:
        """Keep a refusal; one that can't be kept stands in this Router's log."""
        try:
            await self._steward.note.remote(dict(line))
        except LOST:
            return

    def _known(self, name: str) -> Known:
        live, parts = self._live.state.layer.get(name), self._live.parts.get(name, {})
        base = next((one for one in self._live.base.models if one.name == name), None)
        model = self._directory.models.get(name)
        versions = model.versions.values() if model else ()
        loaded = tuple(one.number for one in versions if one.state is State.READY and one.number)
        rolled = followed(self._live.state.rollouts).get(name, ("",))[1:]
        answer = model.answer if model else ()
        return Known(base, live, parts, loaded, answer, rolled, mark(self._live.state, name))

    def _check(self, made: Change) -> None:
        if made.live and made.live.config is not None:
            try:
                self._fits([entry(made.model, made.live, lambda digest: f"/{digest}")])
            except ConfigError as error:
                raise InvalidArgument(f"failed to load '{made.model}': {error}") from None

    async def _ask(self, method: str, *arguments: Any) -> None:
        until = time.monotonic() + self._admin.timeout + _BESIDE_S
        while True:
            try:
                kind, text = await getattr(self._steward, method).remote(*arguments)
                break
            except LOST as error:  # it was killed: the next one knows the change, or takes it
                if time.monotonic() > until:
                    raise Unavailable(f"the Steward doesn't answer: {first_line(error)}") from None
            await asyncio.sleep(PAUSE_S)
        if kind:
            refusal = KINDS[kind](text)
            refusal.audited = not isinstance(refusal, Gone)  # of which it keeps nothing
            raise refusal


def _local(uri: str) -> Path | None:
    """Where a storageUri of this machine is; None for one of elsewhere, and for one that is none."""
    try:
        return local_path(uri)
    except ConfigError:
        return None
