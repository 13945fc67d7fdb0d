"""The variables in the pods of a Ray cluster: those that nobody reads, and secrets in plain text."""

import difflib
import re

from serve_app.config import meant
from serve_app.internals.serve_variables import serve_variables
from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.part import Looks

_SERVES = "RAY_SERVE_"
_SECRET = {"PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS"}
_KEY = re.compile(r"(^|_)(ACCESS|API|PRIVATE|SECRET)_KEY$")
# What a secret doesn't look like: a switch, a number, a place.
_HARMLESS = re.compile(r"|true|false|yes|no|on|off|none|[\d.]+|.*/.*|\$\(.*\)", re.IGNORECASE)


def _misspelt(variable: Looks, ray: Resource) -> str:
    """A variable of Serve's that this Serve doesn't know."""
    name = variable.text("name")
    like = difflib.SequenceMatcher(None, name[: len(_SERVES)], _SERVES).ratio() > 0.8
    if not like or name in serve_variables():
        return ""
    close = meant(name, serve_variables())
    return f"{name}: Serve reads no such variable{f'; did you mean {close}?' if close else ''}"


def _secret(variable: Looks, ray: Resource) -> bool:
    """A variable with a value that looks like a secret: a whole word of its name says so."""
    name, value = variable.text("name"), variable.text("value")
    said = _SECRET & set(name.upper().split("_")) or _KEY.search(name.upper())
    return bool(said) and not (name.endswith(("_PATH", "_FILE")) or _HARMLESS.fullmatch(value))


TABLE: Table = (
    (the.below(the.groups, "template spec containers 0 env *"), "", (
        Rule("name", _misspelt, "{}", "the name as Ray Serve has it", "it has no effect", "warning"),
        Rule("", _secret, "{name} in plain text", "valueFrom: {secretKeyRef: {name: …, key: …}}",
             "whoever reads the manifest has it", "warning"),
    )),
)  # fmt: skip
