"""Changes of one model that were refused: what was there goes on, and why it does stands here."""

import time
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from serve_app.core.later import with_pause
from serve_app.redact import redacted


class Refusal(NamedTuple):
    """Why a source's last change isn't served, or `versions` of it, each with its own reason.

    `whole`: nothing of the change is served, and its versions are those that it was to have.
    """

    reason: str
    versions: Mapping[str, str]
    whole: bool


class Refusals:
    """By source, as a model's versions are; each holds until a later change of it is accepted."""

    def __init__(self) -> None:
        self._by_source: dict[str, Refusal] = {}
        self._due: dict[str, float] = {}  # when a source is tried again, as `time.monotonic()`

    def refuse(self, source: str, reason: str, versions: Iterable[str] = ()) -> None:
        """A source's last change isn't served."""
        reason = redacted(reason)
        self._by_source[source] = Refusal(reason, dict.fromkeys(versions, reason), True)

    def accept(self, source: str, failed: Mapping[str, str] | None = None) -> None:
        """What a source was to be, it is, but for the versions that `failed`; or it is gone."""
        if failed:
            reasons = {number: redacted(reason) for number, reason in failed.items()}
            self._by_source[source] = Refusal(next(iter(reasons.values())), reasons, False)
        else:
            self._by_source.pop(source, None)
            self._due.pop(source, None)

    def again(self, source: str, seconds: float) -> None:
        """What a source couldn't be is tried again, by itself, in so many seconds."""
        self._due[source] = time.monotonic() + seconds

    def with_due(self, source: str, reason: str) -> str:
        """Why a source isn't what it was to be, and when that is tried again."""
        left = self._due.get(source, 0.0) - time.monotonic()
        return with_pause(reason, left) if reason and left > 0 else reason

    @property
    def reason(self) -> str:
        """Of one of them; '' where there is none."""
        found = next(iter(self._by_source.items()), None)
        return self.with_due(found[0], found[1].reason) if found else ""

    @property
    def by_version(self) -> Mapping[str, str]:
        """Why each version isn't what it was to be; by '' where nothing of a change is. Nothing is said
        of when it is tried again: that is no part of a verdict."""
        found = dict[str, str]()
        for refusal in self._by_source.values():
            found |= {"": refusal.reason} if refusal.whole else refusal.versions
        return found

    def of(self, source: str, number: str = "") -> str:
        """The reason for one source, or for a version of it that goes on; '' where there is none."""
        refusal = self._by_source.get(source)
        if refusal is None:
            return ""
        whole = refusal.whole or not number
        return self.with_due(source, refusal.reason if whole else refusal.versions.get(number, ""))

    def versions(self, sources: Container[str]) -> Mapping[str, str]:
        """The versions that refused changes of these were to bring, and why they aren't there."""
        return {
            number: self.with_due(source, reason)
            for source, refusal in self._by_source.items()
            if source in sources
            for number, reason in refusal.versions.items()
        }
