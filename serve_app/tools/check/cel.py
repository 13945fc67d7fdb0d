"""The rules in CEL that a CRD carries (x-kubernetes-validations), asked of an object that is settled."""

import datetime
import functools
import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import duration
from google.protobuf.timestamp_pb2 import Timestamp

from serve_app.tools.check.cel_objects import NONE_OF_ITS_KIND
from serve_app.tools.check.structure import values
from serve_app.tools.kube.findings import Place, Problem

RULES = "x-kubernetes-validations"
_RESERVED = {
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
    "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
}  # fmt: skip
_ESCAPED = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


class NotEvaluated(Exception):
    """The rule asks for what isn't known here, or ends in an error of its own."""


def installed() -> bool:
    """Whether CEL is here: it comes with the extra `check`."""
    return importlib.util.find_spec("cel_expr_python") is not None


def rules(schema: Any, data: Any, whole: Callable[[Place], bool] = lambda _: True) -> Iterator[Problem]:
    """Those that are broken. Asked alone where the schema itself finds the value `whole`."""
    for around, value, place in values(schema, data):
        for rule in around.get(RULES) or () if value is not None and whole(place) else ():
            yield from _asked(rule, around, value, place)


def _asked(rule: dict[str, Any], schema: Any, data: Any, place: Place) -> Iterator[Problem]:
    text, value = str(rule.get("rule")), seen(schema, data, not place)
    if re.search(r"\boldSelf\b", text):
        if not rule.get("optionalOldSelf"):
            return  # about a change
        text = f"cel.bind(oldSelf, optional.none(), {text}\n)"
    said = rule.get("message") or f"breaks the rule {rule.get('rule')}"
    at = (*place, *re.findall(r"[\w-]+", str(rule.get("fieldPath") or "")))
    try:
        if (found := evaluated(text, value)) is True:
            return
        if found is not False:
            raise NotEvaluated(f"it is neither true nor false: {found!r}")
        if "messageExpression" in rule and "oldSelf" not in rule["messageExpression"]:
            said = str(evaluated(rule["messageExpression"], value))
    except NotEvaluated as error:
        if reason := _refused(str(error), schema):
            yield Problem(at, f"{reason}, which a rule asks for: {said}", "a rule of the CRD")
        else:
            what = f"not looked at: the rule {rule.get('rule')} ({error})"
            yield Problem(place, what, "it can't be evaluated here", severity="note")
    else:
        yield Problem(at, said.strip(), "a rule of the CRD")


def _refused(error: str, schema: Any) -> str:
    """What in the object makes a rule end in an error, as on the API server; '' where it is the rule."""
    if found := NONE_OF_ITS_KIND.search(error):
        return found[0]
    absent = re.search('Key not found in map : "(.+)"', error)
    return f"no '{absent[1]}'" if absent and absent[1] in _names(schema) else ""


def _names(schema: Any) -> set[str]:
    """Of every property that a schema knows, as rules write them."""
    if not isinstance(schema, dict):
        return set()
    known = schema.get("properties") or {}
    inner = (*known.values(), schema.get("items"), schema.get("additionalProperties"))
    return set(map(_escaped, known)).union(*map(_names, inner))


def seen(schema: Any, data: Any, top: bool = False) -> Any:
    """A value as a rule sees it: typed by the schema, names escaped, nothing that is null."""
    schema = schema if isinstance(schema, dict) else {}
    kind, form = schema.get("type"), schema.get("format")
    if isinstance(data, dict):
        known, more = schema.get("properties") or {}, schema.get("additionalProperties")
        out = {
            _escaped(key) if key in known or top else key: seen(known.get(key, more), value)
            for key, value in data.items()
            if value is not None
        }
        if top and isinstance(meta := data.get("metadata"), dict):
            out["metadata"] = {key: meta[key] for key in ("name", "generateName") if key in meta}
        return out
    if isinstance(data, list):
        return [seen(schema.get("items"), one) for one in data]
    if kind == "number" and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind == "integer" and isinstance(data, float):
        return int(data)
    if kind == "string" and form in ("date-time", "datetime", "date", "duration", "byte"):
        return _typed(str(form), data)
    return data


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[./-]", lambda found: _ESCAPED[found[0]], name)


def _typed(form: str, text: str) -> Any:
    """A time, a duration or bytes of a text, which stays what it is where it is none. As protobuf's own
    messages: inside of other values CEL takes no `datetime`."""
    date = "timestamp(self + 'T00:00:00Z')"
    how = {"duration": "duration(self)", "byte": "base64.decode(self)", "date": date}
    try:
        found = evaluated(how.get(form, "timestamp(self)"), text)
    except NotEvaluated:
        return text
    if isinstance(found, datetime.timedelta):
        return duration.from_timedelta(found)
    if isinstance(found, datetime.datetime):
        at = Timestamp()
        at.FromDatetime(found)
        return at
    return found


@functools.cache
def _environment() -> Any:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_optional, ext_strings

    from serve_app.tools.check.cel_library import functions

    known = (
        ext_strings.ExtStrings,
        ext_optional.ExtOptional,
        ext_bindings.ExtBindings,
        ext_encoders.ExtEncoders,
    )
    own = cel.CelExtension("kubernetes", functions(cel))
    return cel.NewEnv(variables={"self": cel.Type.DYN}, extensions=[*(one() for one in known), own])


@functools.lru_cache(2048)
def _compiled(expression: str) -> Any:
    return _environment().compile(expression)


def evaluated(expression: str, value: Any) -> Any:
    """What a CEL expression about `self` is. NotEvaluated when it can't be said."""
    try:
        found = _compiled(expression).eval(data={"self": value})
        failed = found.type().name() == "ERROR"
        result = found.plain_value()
    except Exception as error:
        # The library's own errors, which are RuntimeErrors and others.
        raise NotEvaluated(str(error).partition("\n")[0]) from None
    if failed:
        raise NotEvaluated(str(result).partition("\n")[0])
    return result
