"""What all of it shares: keys as in KServe, nothing unknown, mistakes with their places."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

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
Place = tuple[str | int, ...]
_WHOLE_SENTENCES = ("value_error", "unknown_option", "contradiction")
# In the context of a validation: each value is right by itself, whether or not they fit together.
APART = "apart"


def parse(kind: type[C], data: object, where: str = "") -> C:
    """Read `data` as `kind`; ConfigError lists every mistake with its place and a suggestion."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or kind.__name__}: expected a mapping, got {type(data).__name__}")
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        lines = [f"{join(where, place)}: {text}" for place, text in problems(error, kind)]
        raise ConfigError("\n".join(lines)) from None


def refuse(title: str, found: Iterable[tuple[Place, str]]) -> None:
    """ValidationError with all of them, each at its place below the one that is validated."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("contradiction", "{text}", {"text": text}), loc=place, input=None
        )
        for place, text in found
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def problems(error: ValidationError, kind: type[BaseModel]) -> list[tuple[Place, str]]:
    """What `error` holds, as (path to the value, sentence)."""
    found = []
    for item in error.errors():
        place = item["loc"]
        if item["type"] == "extra_forbidden":
            text = f"unknown key{did_you_mean(str(place[-1]), keys_at(kind, place[:-1]))}"
        elif item["type"] == "missing":
            text = "required, but not there"
        elif item["type"] == "model_type":
            text = f"expected a mapping, got {_short(item['input'])}"
        else:
            text = item["msg"].removeprefix("Value error, ")
            if item["type"] not in _WHOLE_SENTENCES:
                text += f" (got {_short(item['input'])}){_nearest(item)}"
        found.append((place, text))
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:150]}… ({len(text):,} characters)"


def _nearest(item: Any) -> str:
    """Of a word out of a few, the one that was meant."""
    if item["type"] not in ("literal_error", "enum"):
        return ""
    close = meant(str(item["input"]), re.findall(r"'([^']*)'", str(item["ctx"].get("expected"))))
    return f"; did you mean {close}?" if close else ""


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


def meant(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` is nearly, whatever its case and underscores; '' for none."""
    bare = {key.lower().replace("_", ""): key for key in sorted(set(known), reverse=True)}
    known = sorted(bare.values())
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        found = difflib.get_close_matches(word.lower().replace("_", ""), bare, n=1, cutoff=0.8)
        close = [bare[one] for one in found]
    return close[0] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean X?' or a list of what is known, or nothing."""
    known = sorted(set(known))
    if len(word) > _MOST_COMPARED:  # comparing takes memory and time for each letter
        return ""
    if close := meant(word, known):
        return f"; did you mean {close}?"
    return f"; known: {', '.join(known)}" if known else ""


def join(where: str, place: Iterable[str | int]) -> str:
    """`a.b[0].c` from a path."""
    text = where
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "(top)"
