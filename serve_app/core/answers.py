"""Which of a model's versions answers a request: the one asked for, or the configuration's choice."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

from serve_app.config import Traffic
from serve_app.core.cold import ANY
from serve_app.core.places import Places, Room
from serve_app.core.version import State, Version
from serve_app.errors import Unavailable
from serve_app.routing.traffic import Asking, Split
from serve_app.routing.versions import choose


class Shared(Asking, Protocol):
    """A call (serve_app.core.call), as far as the choice asks."""

    @property
    def version(self) -> Version | None:
        """What was chosen for it already."""
        ...


class Answers(Places, ABC):
    """The choice; which versions there are is serve_app.core.directory's affair."""

    def __init__(self, name: str, room: Room | None = None) -> None:
        super().__init__(name, room)
        self.default_version: str | None = None
        self.split: Split | None = None  # how requests that name no version are shared
        self.versions: Mapping[str, Version] = {}  # oldest first
        self._newest: Version | None = None  # that is ready, or at least there
        self._held = ""
        self._simple = True  # the newest answers what names no version

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why nothing answers yet; '' when it does."""

    @abstractmethod
    def missing(self) -> Mapping[str, str]:
        """Versions that a refused change was to bring, and why."""

    def direct(self, default: str | None, traffic: Traffic | None, held: str = "") -> None:
        """What the configuration says of requests that name no version. `held`: one that gets none of
        them while there is another, for the rollout that is to give it some.
        """
        self.default_version, self._held = default, held
        if traffic is None:
            self.split = None
        elif self.split is None or self.split.traffic != traffic:
            self.split = Split(self.name, traffic)
        self._settled()

    def pick(self, asked: str = "", call: "Shared | None" = None) -> Version:
        """The version for a request that names `asked`, '' for none.

        The configured default, or the traffic's choice (for a `call`; else the version that has most
        of it), else the newest that is ready. Unavailable while nothing is loaded, NotFound for a
        version that isn't there; one that was refused is Unavailable. What an edge chose for a call
        whose body it decoded by a version's signature stays.
        """
        if self._newest is None:
            raise Unavailable(f"model '{self.name}' is not ready: {self.reason}")
        if not asked and self._simple:
            return self._newest
        if ANY in self.versions:
            return self.versions[ANY]
        if not asked and self.split is not None:
            chosen = call.version if call is not None else None
            if chosen is not None and self.versions.get(chosen.number) is chosen:
                return chosen
            number = self.split.version(call) if call is not None else self.split.main
            if not number:
                raise Unavailable(f"model '{self.name}' is not ready: {self._unshared()}")
            return self.versions[number]
        if asked and asked not in self.versions and (reason := self.missing().get(asked)):
            raise Unavailable(f"model '{self.name}' version {asked} was refused: {reason}")
        return self.versions[choose(self.name, asked, self.default_version, self.versions)]

    def beside(self, version: str) -> str:
        """The ready version other than that one that most requests get; '' for none."""
        ready = [one for one, held in self.versions.items() if held.state is State.READY]
        if self.default_version in ready and self.default_version != version:
            return str(self.default_version)
        shares = self.split.shares if self.split else dict.fromkeys(ready, 1.0)
        others = {one: share for one, share in shares.items() if one not in (version, ANY)}
        return max(others, key=lambda one: (others[one], int(one)), default="")

    def decided(self, first: Version, call: "Shared") -> Version:
        """The version of a call that was decoded by the signature of its first choice."""
        return self.pick("", call) if self.split is not None and self.split.by_body else first

    @property
    def answer(self) -> tuple[str, ...]:
        """The versions that the configuration gives requests to which name none; () for the newest."""
        if self.split is not None:
            return tuple(one for one, weight in self.split.traffic.weights.items() if weight)
        return (self.default_version,) if self.default_version else ()

    def alone(self) -> str | None:
        """The one version that requests get which name none; None where they are shared."""
        if self.split is not None:
            shares = self.split.shares
            return self.split.main if len(shares) == 1 else None
        return self.default_version or (self._newest.number if self._newest else None)

    def why_not(self) -> str:
        """Why, of the versions that there are, the one asked for by default isn't ready; else ''."""
        if self.split is not None and ANY not in self.versions:
            main = self.versions.get(self.split.main)
            return main.reason if main else self._unshared()
        default = self.versions.get(self.default_version or "") or self._newest
        return default.reason if default else ""

    def unserved(self) -> dict[str, str]:
        """Versions that the configuration gives requests to and that aren't there, and what follows."""
        if not self.versions or ANY in self.versions:
            return {}
        known = ", ".join(self.versions)
        if self.split is not None:
            follows = "its requests go to others" if self.split.main else "requests are refused"
            named = dict.fromkeys(self.split.traffic.versions.values())
            return {
                number: f"traffic names version '{number}', which isn't loaded; it has {known}: "
                f"{follows}"
                for number in named
                if number not in self.versions
            }
        default = self.default_version
        if default is None or default in self.versions:
            return {}
        return {
            default: f"the configured default version '{default}' isn't loaded; it has {known}: "
            "requests that name no version are refused"
        }

    def _unshared(self) -> str:
        return f"no version that traffic gives requests to is ready; it has {', '.join(self.versions)}"

    def _settled(self) -> None:
        """Other versions are there, or ready, or another choice is configured."""
        ready = [one for one in self.versions.values() if one.state is State.READY]
        there = ready or list(self.versions.values())
        newest = [one for one in there if one.number != self._held] or there
        self._newest = next(reversed(newest), None)
        if self.split is not None:
            self.split.over(one.number for one in ready)
        self._simple = self.default_version is None and self.split is None
