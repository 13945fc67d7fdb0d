"""What all of it shares: keys as in KServe, nothing unknown, mistakes with their places."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from serve_app.errors import ConfigError

_MOST_COMPARED = 128


class Config(BaseModel):
    """Base: camelCase keys as in KServe, nothing unknown, nothing changed after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
    )


C = TypeVar("C", bound=Config)


def parse(kind: type[C], data: object, where: str = "") -> C:
    """Read `data` as `kind`; ConfigError lists every mistake with its place and a suggestion."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or kind.__name__}: expected a mapping, got {type(data).__name__}")
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        lines = [f"{join(where, place)}: {text}" for place, text in problems(error, kind)]
        raise ConfigError("\n".join(lines)) from None


def problems(error: ValidationError, kind: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """What `error` holds, as (path to the value, sentence)."""
    found = []
    for item in error.errors():
        place = item["loc"]
        if item["type"] == "extra_forbidden":
            text = f"unknown key{did_you_mean(str(place[-1]), keys_at(kind, place[:-1]))}"
        elif item["type"] == "missing":
            text = "required, but not there"
        else:
            text = item["msg"].removeprefix("Value error, ")
            if item["type"] not in ("value_error", "model_type", "unknown_option"):
                text += f" (got {item['input']!r})"
        found.append((place, text))
    return found


def keys_at(kind: Any, place: Iterable[str | int]) -> list[str]:
    """The keys that `kind` knows at `place`, found by walking its annotations."""
    for step in place:
        kind = _inner(kind, step)
    fields = getattr(_model_in(kind), "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _model_in(part):
            return found
    return None


def _inner(kind: Any, step: str | int) -> Any:
    model = _model_in(kind)
    for name, field in getattr(model, "model_fields", {}).items():
        if step in (field.alias, name):
            return field.annotation
    return kind  # an index into a list or a key of a mapping


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean X?' or a list of what is known, or nothing."""
    known = sorted(set(known))
    if len(word) > _MOST_COMPARED:  # comparing takes memory and time for each letter
        return ""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        close = [key for key in known if key.lower() == word.lower().replace("_", "")][:1]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if known else ""


def join(where: str, place: Iterable[str | int]) -> str:
    """`a.b[0].c` from a path."""
    text = where
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "(top)"
