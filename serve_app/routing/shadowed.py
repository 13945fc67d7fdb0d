"""Whether a model can have the shadow that is configured for it: by its versions and their outputs."""

from collections.abc import Iterator, Mapping, Sequence

from serve_app.config import Shadow, did_you_mean, join
from serve_app.config.base import Place


def trouble(
    name: str, shadow: Shadow, versions: Mapping[str, Sequence[str]], answers: str | None
) -> Iterator[tuple[Place, str]]:
    """What is wrong, each with its place below `shadow`.

    `versions`: their outputs by name, none where they aren't known; `answers`: the one version that
    requests get which name none, None for several.
    """
    number = shadow.version
    if number not in versions:
        yield ("version",), f"model '{name}' has no version {number}{did_you_mean(number, versions)}"
        return
    if len(versions) == 1:
        yield ("version",), f"version {number} is the only one of model '{name}': nothing else answers"
        return
    if answers == number:
        text = f"version {number} answers itself: defaultVersion, or traffic, has to name another one"
        yield ("version",), text
    known = {output for outputs in versions.values() for output in outputs}
    if known and all(versions.values()):
        for output in shadow.outputs:
            if output not in known:
                yield (
                    ("outputs", output),
                    f"model '{name}' has no output '{output}'" + did_you_mean(output, known),
                )


def refused(
    name: str, shadow: Shadow, versions: Mapping[str, Sequence[str]], answers: str | None
) -> str:
    """The same as one sentence; '' where nothing is wrong."""
    for place, text in trouble(name, shadow, versions, answers):
        return f"{join(f'routing.{name}.shadow', place)}: {text}"
    return ""
