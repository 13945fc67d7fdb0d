"""YAML as Kubernetes reads it: by the rules of Go's yaml.v2, and then as JSON.

Dates and `=` are text, `1e3` and `08` are numbers, `y` is true, every key is text. So read kubectl, the
API server and KubeRay's operator (a serveConfigV2). Ray reads a Serve config with PyYAML.
"""

import base64
import functools
import json
import math
import re
from typing import Any

import yaml

Ray: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 18,000 lines take 6 s without C
_DEPTH = 200  # compiled code ends the process where the stack ends
_UNFOLDED = 50_000  # values that aliases may add: each is looked at by every rule
_DIGITS = 100
_NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F_]+|0[oObB]?[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?)"
)
_INT = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    form: value
    for word, value in [
        ("", None), ("~", None), ("null", None), *[(word, True) for word in ("y", "yes", "true", "on")],
        *[(word, False) for word in ("n", "no", "false", "off")],
    ]
    for form in (word, word.capitalize(), word.upper())
}  # fmt: skip


def as_key(value: Any) -> str:
    """A key as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(written: str, words: dict[str, bool | None]) -> Any:
    text = written.replace("_", "")
    if written in words:
        return words[written]
    if _INT.fullmatch(text):
        digits = re.sub(r"^([-+]?)0(?=[0-7])", r"\g<1>0o", text)
        number = int(digits, 0) if len(digits) < 100 else 2**64
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(text) and math.isfinite(value := float(text)):  # larger ones are text
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return written


class Kubernetes(Ray):  # type: ignore[misc]
    """A tag that nobody knows says nothing."""

    words = _WORDS
    yaml_implicit_resolvers: dict[str | None, Any] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """JSON's: keys are text."""
        self.flatten_mapping(node)
        found = {}
        for name, value in node.value:
            key = self.construct_object(name, deep=True)
            if key is None or isinstance(key, dict | list):
                what = "null as a key" if key is None else "unhashable key"
                raise yaml.constructor.ConstructorError(None, None, what, name.start_mark)
            found[as_key(key)] = self.construct_object(value, deep=deep)
        return found

    def plain(self, node: yaml.ScalarNode) -> Any:
        """A scalar without quotes."""
        return _plain(node.value, self.words)

    def text(self, node: yaml.Node) -> str:
        return str(node.value)

    def binary(self, node: yaml.ScalarNode) -> str:
        return base64.b64decode(node.value).decode("utf-8", "replace")

    def any(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.construct_yaml_map(node)
        return self.construct_yaml_seq(node) if isinstance(node, yaml.SequenceNode) else self.text(node)


class Kustomize(Kubernetes):
    """A kustomization's resources: `yes`, `off` and `y` are text there."""

    words = {  # noqa: RUF012
        word: value
        for word, value in _WORDS.items()
        if value is None or word.lower() in ("true", "false")
    }


_YAML = "tag:yaml.org,2002:"
Kubernetes.add_implicit_resolver(f"{_YAML}merge", re.compile("<<$"), ["<"])
Kubernetes.add_implicit_resolver("plain", re.compile(".*", re.DOTALL), None)
for _name in ("int", "float", "bool", "null"):
    Kubernetes.add_constructor(_YAML + _name, Kubernetes.plain)
for _name in ("timestamp", "set", "omap", "pairs"):
    Kubernetes.add_constructor(_YAML + _name, Kubernetes.any)
Kubernetes.add_constructor("plain", Kubernetes.plain)
Kubernetes.add_constructor(None, Kubernetes.any)
Kubernetes.add_constructor(f"{_YAML}str", Kubernetes.text)
Kubernetes.add_constructor(f"{_YAML}binary", Kubernetes.binary)


def key_of(node: yaml.Node) -> str:
    """A key of a mapping, as `values` has it."""
    return as_key(_plain(node.value, _WORDS) if node.tag == "plain" else node.value)


@functools.lru_cache(maxsize=4)  # of a text the values are asked for too
def nodes(text: str) -> list[yaml.Node]:
    """The trees of a text's documents, with their lines. YAMLError; also for what has no end."""
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can say half a pair of surrogates, YAML can't
        raise yaml.YAMLError(f"no text: {error.reason}") from None
    _measure(text)
    return list(yaml.compose_all(text, Loader=Kubernetes))


def _refused(what: str, at: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=at.start_mark)


def _measure(text: str) -> None:
    """How large and how deep it is with its aliases unfolded, without unfolding them.

    An alias, or a merge, counts as often as it is named: whoever reads the values copies them.
    """
    anchored: dict[str, tuple[int, int]] = {}  # sizes and depths
    open_: list[Any] = []  # collections, each with its size and depth so far
    written = 0
    for event in yaml.parse(text, Loader=Ray):
        size, depth, start, name = 1, 0, event, getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append([1, 0, event])
            if len(open_) > _DEPTH:
                raise _refused(f"nested more than {_DEPTH} deep", event)
            continue
        if isinstance(event, yaml.AliasEvent):
            if around := [one for _, _, one in open_ if one.anchor == name]:
                raise _refused("an alias contains itself", around[-1])
            size, depth = anchored.get(str(name), (1, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            size, depth, start = open_.pop()
            name, depth, written = start.anchor, depth + 1, written + 1
            if size - written > _UNFOLDED:
                raise _refused(f"its aliases unfold to more than {_UNFOLDED:,} values", start)
            if depth > _DEPTH:
                raise _refused(f"its aliases nest more than {_DEPTH} deep", start)
        elif isinstance(event, yaml.ScalarEvent):
            written += 1
            if event.implicit[0] and len(event.value) > _DIGITS and _NUMBER.fullmatch(event.value):
                what = f"a number of {len(event.value):,} characters; quotes make text of it"
                raise _refused(what, event)
        else:  # a document's end or beginning
            anchored, written = {}, 0
            continue
        if name and not isinstance(event, yaml.AliasEvent):
            anchored[name] = size, depth
        if open_:
            open_[-1][:2] = open_[-1][0] + size, max(open_[-1][1], depth)


def values(text: str, reader: Any = Kubernetes) -> list[Any]:
    """What a text's documents hold. YAMLError."""
    nodes(text)  # whether it has an end
    try:
        return list(yaml.load_all(text, Loader=reader))
    except (ValueError, KeyError, OverflowError) as error:  # of PyYAML's constructors: `2026-13-45`
        raise yaml.YAMLError(str(error)) from None


def _finite(text: str) -> int | float:
    """A number as Go has it: whole in 64 bits, or a float; ValueError for more."""
    number = int(text) if len(text) <= _DIGITS and _INT.fullmatch(text) else float(text)
    if isinstance(number, int) and -(2**63) <= number < 2**64:
        return number
    if not math.isfinite(number := float(number)):
        raise ValueError(f"{text} is too large a number")
    return number


def from_json(text: str) -> Any:
    """What a JSON text holds; None when it is none."""
    try:
        if text.lstrip("\ufeff \t\r\n")[:1] != "{":
            return None
        return json.loads(text, parse_int=_finite, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None


def as_yaml(text: str) -> str:
    """A JSON text as YAML of the same lines: without tabs, and without pairs of surrogates."""
    return re.sub(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", "?", text.replace("\t", " "))
