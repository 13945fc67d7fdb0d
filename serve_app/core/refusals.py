"""Changes of one model that were refused: what was there goes on, and why it does stands here."""

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

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

    @property
    def reason(self) -> str:
        """Of one of them; '' where there is none."""
        return next((one.reason for one in self._by_source.values()), "")

    @property
    def by_version(self) -> Mapping[str, str]:
        """Why each version isn't what it was to be; by '' where nothing of a change is."""
        found = dict[str, str]()
        for refusal in self._by_source.values():
            found |= {"": refusal.reason} if refusal.whole else refusal.versions
        return found

    def of(self, source: str, number: str = "") -> str:
        """The reason for one source, or for a version of it that goes on; '' where there is none."""
        refusal = self._by_source.get(source)
        if refusal is None:
            return ""
        return refusal.reason if refusal.whole or not number else refusal.versions.get(number, "")

    def versions(self, sources: Container[str]) -> Mapping[str, str]:
        """The versions that refused changes of these were to bring, and why they aren't there."""
        return {
            number: reason
            for source, refusal in self._by_source.items()
            if source in sources
            for number, reason in refusal.versions.items()
        }
