"""A structural schema in JSON schema's words, with the API server's patterns and formats, and its errors
as sentences."""

import base64
import datetime
import functools
import importlib.util
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from serve_app.config import did_you_mean
from serve_app.tools.check.metadata import METADATA
from serve_app.tools.check.once import REFUSED as _REFUSED
from serve_app.tools.check.structure import EMBEDDED
from serve_app.tools.kube.findings import Problem

_WORDS = (
    "$ref", "type", "enum", "required", "pattern", "format", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf", "uniqueItems",
)  # fmt: skip
_LISTS, _ONE = ("allOf", "anyOf", "oneOf"), ("not", "items", "additionalProperties", "propertyNames")


def translated(schema: Any, top: bool = False) -> Any:
    """The schema without Kubernetes' extensions. At the `top`, and where embedded, there is metadata."""
    if not isinstance(schema, dict):
        return schema
    out = {key: schema[key] for key in _WORDS if key in schema}
    out |= {key: [translated(one) for one in schema[key]] for key in _LISTS if key in schema}
    out |= {key: translated(schema[key]) for key in _ONE if key in schema}
    if "properties" in schema:
        out["properties"] = {name: translated(inner) for name, inner in schema["properties"].items()}
    for end in ("minimum", "maximum"):
        exclusive = f"exclusive{end.capitalize()}"
        if schema.get(exclusive) is True and end in out:
            out[exclusive] = out.pop(end)
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
        if out.get("anyOf") == [{"type": "integer"}, {"type": "string"}]:
            del out["anyOf"]
    if schema.get("nullable") and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    if top or schema.get(EMBEDDED):
        out["required"] = sorted({*out.get("required", ()), "apiVersion", "kind"})
        own = out.setdefault("properties", {})
        own["metadata"] = {"allOf": [METADATA, own.get("metadata", True)]}
        own |= {key: {"type": "string", "minLength": 1} for key in ("apiVersion", "kind")}
    return out


def patterns_known() -> bool:
    """Whether RE2 is here, by whose syntax patterns are written: it comes with the extra `check`."""
    return importlib.util.find_spec("re2") is not None


@functools.cache
def _pattern(text: str) -> Any:
    """None where nobody can read it: an API server would have refused the CRD."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error:
        return None


def _matches(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    known = _pattern(pattern) if isinstance(value, str) and patterns_known() else None
    if known is not None and not known.search(value):
        yield ValidationError(f"'{value}' does not match the pattern {pattern}")


def _enum(_: Any, allowed: list[Any], value: Any, __: Any) -> Iterator[ValidationError]:
    if value is not None and value not in allowed:  # a null is there only where `nullable` lets it be
        yield ValidationError(f"{value!r} is none of {allowed}")


def _range(bits: int) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, int | float) or -(1 << bits - 1) <= value < 1 << bits - 1


def accepts(make: Callable[..., Any]) -> Callable[..., bool]:
    """Whether it makes something of its arguments."""

    def fits(*arguments: Any) -> bool:
        try:
            make(*arguments)
        except ValueError:
            return False
        return True

    return fits


def _text(fits: Callable[[str], object]) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, str) or bool(fits(value))


def _parses(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    return _text(accepts(parse))


def _like(pattern: str) -> Callable[[Any], bool]:
    return _text(re.compile(pattern, re.I).fullmatch)


# Of those that the API server looks at (apiextensions-apiserver, validation/formats.go) those that can
# be told for certain.
FORMATS: dict[str, Callable[[Any], bool]] = {
    "int32": _range(32),
    "int64": _range(64),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_interface(text) if "/" in text else int("")),
    "byte": _parses(lambda text: base64.b64decode(text.replace("\n", ""), validate=True)),
    "date": _parses(lambda text: datetime.datetime.strptime(text, "%Y-%m-%d")),
    "date-time": _like(r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d([.,]\d+)?(z|[-+]\d\d:?\d\d)?"),
    "uuid": _like(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}"),
    "duration": _like(r"-?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+|0|\d+\s*[a-zµ]+"),
    "quantity": _like(r"[-+]?(\d+(\.\d*)?|\.\d+)((?-i:[KMGTPE]i|[numkMGTPE])|e[-+]?\d+)?"),
}


_SAID = {"byte": "base64"}


def _format(_: Any, name: str, value: Any, __: Any) -> Iterator[ValidationError]:
    fits = FORMATS.get("date-time" if name == "datetime" else name)
    if fits is not None and not fits(value):
        yield ValidationError(f"'{value}' is no {_SAID.get(name, name)}")


def _whole(_: Any, value: Any) -> bool:
    """A float is a whole number as far as floats can tell whole numbers apart."""
    fits = not isinstance(value, float) or abs(value) < 2**53
    return fits and Draft202012Validator.TYPE_CHECKER.is_type(value, "integer")


Validator = extend(
    Draft202012Validator,
    {"pattern": _matches, "enum": _enum, "format": _format},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _whole),
)


def violations(validator: Any, data: Any) -> Iterator[Problem]:
    """Every mistake in `data`, at its place."""
    for error in validator.iter_errors(data):
        for at, what, fix in _sentences(error):
            yield Problem(tuple(at.absolute_path), what, _REFUSED, fix)


def _sentences(error: ValidationError) -> Iterator[tuple[ValidationError, str, str]]:
    """Which part it is about, what is wrong with it, and the way out."""
    value, wanted, fix = error.instance, error.validator_value, ""
    shown = _shown(value)
    if error.validator == "required":
        for key in wanted:
            if key not in value:
                yield error, f"'{key}' is required, but not there", ""
        return
    if error.validator in ("anyOf", "oneOf"):
        forms: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            forms.setdefault(inner.schema_path[0], []).append(inner)
        here = error.absolute_path  # a form for values of another type isn't meant
        others = [any(one.validator == "type" and one.absolute_path == here for one in some)
                  for some in forms.values()]  # fmt: skip
        meant = [some for some, other in zip(forms.values(), others, strict=True) if not other]
        if len(meant) == 1:
            for inner in meant[0]:
                yield from _sentences(inner)
            return
        several = f"{shown} fits several forms, of which one is allowed"
        what = f"{shown} fits none of the forms that the schema allows" if forms else several
    elif error.validator == "type":
        some = [one for one in wanted if one != "null"] if isinstance(wanted, list) else [wanted]
        what = f"expected {' or '.join(some)}, got {shown}"
        number = "string" in some and isinstance(value, int | float)
        fix = "put it in quotes, as it is written" if number else ""
    elif error.validator == "enum":
        allowed = [str(one) for one in wanted]
        hint = did_you_mean(str(value), allowed).partition("; known")[0]
        what = f"{shown} is none of {', '.join(allowed)}{hint}"
    elif error.validator == "not":
        what = f"{shown} has a form that the schema forbids"
    else:
        what = error.message if len(error.message) < 300 else f"not as '{error.validator}' asks"
    yield error, what, fix


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) < 100 else f"{text[:80]}… ({len(text):,} characters)"
