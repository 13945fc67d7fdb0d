"""Choosing a version: the one asked for, the configured default, or the newest."""

from collections.abc import Iterable

from serve_app.errors import NotFound, Unavailable


def choose(model: str, asked: str, default: str | None, versions: Iterable[str]) -> str:
    """The version that answers. NotFound for an unknown one; Unavailable when there is none."""
    known = list(versions)
    if asked:
        if asked not in known:
            raise NotFound(f"model '{model}' has no version '{asked[:80]}'; it has {', '.join(known)}")
        return asked
    if not known:
        raise Unavailable(f"model '{model}' has no version loaded")
    if default is not None:
        if default not in known:
            raise Unavailable(
                f"model '{model}': the configured default version '{default}' isn't loaded; "
                f"it has {', '.join(known)}"
            )
        return default
    return max(known, key=int)
