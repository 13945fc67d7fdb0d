"""Which versions of a model are served, of those that there are."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from serve_app.config.base import Config

_VERSION = re.compile(r"[1-9][0-9]{0,18}")


class Latest(Config):
    """The newest so many."""

    latest: int = Field(ge=1)
    """How many of the newest versions are served."""


Versions = Literal["all", "latest"] | Latest | list[str]


def version_text(value: Any) -> Any:
    """A version as text: YAML makes a number of one without quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def policy(said: Any) -> Any:
    """What was said, in one form: Triton's `version_policy` is understood too. ValueError says what may
    stand there.
    """
    if isinstance(said, Latest) or said in ("all", "latest"):
        return said
    if isinstance(said, Mapping):
        return _policy_of(said)
    if not isinstance(said, list):
        raise _wrong(said)
    found = list(map(version_text, said))
    for one in found:
        if not isinstance(one, str) or not _VERSION.fullmatch(one):
            raise ValueError(f"a version is a positive integer, not '{one}'")
    if len(set(found)) != len(found):
        raise ValueError(f"a version is listed twice: {', '.join(found)}")
    return found


def _policy_of(said: Mapping[Any, Any]) -> Any:
    match list(said.items()):
        case [("all", None | {})] if not said["all"]:
            return "all"
        case [("latest", value)]:
            if isinstance(value, Mapping):  # Triton's, 1 where it says nothing
                if unknown := [key for key in value if key not in ("num_versions", "numVersions")]:
                    raise ValueError(f"latest: unknown key '{unknown[0]}'; did you mean num_versions?")
                value = next(iter(value.values()), 1)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"latest: how many versions, at least 1, got {value!r}")
            return Latest(latest=value)
        case [("specific", {"versions": [*listed]})]:
            return policy(listed)
    raise _wrong(dict(said))


def _wrong(said: object) -> ValueError:
    example = said if _VERSION.fullmatch(str(said)) else 2
    return ValueError(
        f"expected all, latest, {{latest: N}} or a list of versions, as in [{example}], got {said!r}"
    )


def served(versions: Versions, there: Iterable[str]) -> list[str]:
    """Those of `there` that are to be served, oldest first."""
    known = sorted(there, key=int)
    if versions == "all":
        return known
    if (most := newest(versions)) is not None:
        return known[-most:]
    return [one for one in known if one in versions]


def newest(versions: Versions) -> int | None:
    """How many of the newest; None where it isn't that."""
    return versions.latest if isinstance(versions, Latest) else 1 if versions == "latest" else None
