"""Changes of one model that were refused: what was there goes on, and why it does stands here."""

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from serve_app.redact import redacted


class Refusal(NamedTuple):
    """Why a source's last change isn't served, and the `versions` that it was to have, where known."""

    reason: str
    versions: tuple[str, ...] = ()


class Refusals:
    """By source, as a model's versions are; each holds until a later change of it is accepted."""

    def __init__(self) -> None:
        self._by_source: dict[str, Refusal] = {}

    def refuse(self, source: str, reason: str, versions: Iterable[str] = ()) -> None:
        """A source's last change isn't served."""
        self._by_source[source] = Refusal(redacted(reason), tuple(versions))

    def accept(self, source: str) -> None:
        """What a source was to be, it is; or it is gone."""
        self._by_source.pop(source, None)

    @property
    def reason(self) -> str:
        """Of one of them; '' where there is none."""
        return next((one.reason for one in self._by_source.values()), "")

    def of(self, source: str) -> str:
        """The reason for one source; '' where there is none."""
        refusal = self._by_source.get(source)
        return refusal.reason if refusal else ""

    def versions(self, sources: Container[str]) -> Mapping[str, str]:
        """The versions that refused changes of these were to bring, and why they aren't there."""
        return {
            number: refusal.reason
            for source, refusal in self._by_source.items()
            if source in sources
            for number in refusal.versions
        }
