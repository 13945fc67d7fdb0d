"""Whether a change is served, by what it asked for and what a Router says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Failed:
    """Versions of a model that aren't as they are wanted, and why, by '' for the whole model; `there`
    are those that answer; `overruled`: a deploy changed what the change was made over."""

    reasons: Mapping[str, str]
    there: Sequence[str] = ()
    overruled: bool = False


@dataclass(slots=True)
class Ack:
    """What a Router says: which generation it serves, and the models that it doesn't serve as wanted.

    `places`: where its models lie, by name; `shadows`: what came of copies (serve_app.routing.tally),
    by the model, with the `config` of each.
    """

    generation: int = -1
    failed: Mapping[str, Failed] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    heard: float = 0.0
    shadows: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plain: Mapping[str, object]) -> "Ack":
        """The same back from `asdict`."""
        made = cls(**plain)  # type: ignore[arg-type]
        made.failed = {name: Failed(**one) for name, one in made.failed.items()}  # type: ignore[arg-type]
        return made


def partly(failed: Failed) -> bool:
    """Whether it is versions alone, beside others that answer."""
    return "" not in failed.reasons and bool(failed.there)


def unserved(failed: Failed | None, verb: str, version: str = "") -> str:
    """Why a change isn't served by a Router that `failed` so at its model; '' where it is.

    A load of one version asked for that one alone; an unload, for what is gone to be gone.
    """
    if failed is None:
        return ""
    if verb == "traffic" and not failed.overruled:
        return ""  # whatever else is the matter with the model
    if "" in failed.reasons:
        return failed.reasons[""]
    if verb == "unload":
        return ""
    if version:
        return failed.reasons.get(version, "")
    said = "; ".join(dict.fromkeys(failed.reasons.values()))
    there = [one for one in failed.there if one not in failed.reasons]
    return said + (f"; served: version {', '.join(there)}" if there and said else "")
