"""YAML files as documents, with the line of every place in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.kube import yaml_text
from serve_app.tools.kube.findings import Place, Report

CONFIG = "serveConfigV2"


@dataclass
class Document:
    """One document of a file. `config` is what its serveConfigV2 holds, if it has one."""

    data: dict[str, Any]
    report: Report
    config: tuple[Place, Any, Report] | None = None

    @property
    def kind(self) -> str:
        """Of a Kubernetes resource; '' for a Serve config, and for a half of a resource."""
        return self._text("kind") if self._text("apiVersion") else ""

    @property
    def group(self) -> str:
        """Of its API; '' for the core's."""
        return self._text("apiVersion").rpartition("/")[0]

    @property
    def version(self) -> str:
        """Of its API."""
        return self._text("apiVersion").rpartition("/")[2]

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str(get(self.data, "metadata", "name") or "")


def get(data: Any, *path: str | int) -> Any:
    """The value at a path, None where there is none."""
    for step in path:
        there = isinstance(data, dict) and step in data
        if not there and not (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            return None
        data = data[step]
    return data


def items(data: Any, *path: str | int) -> list[Any]:
    """The list at a path; empty where there is none."""
    found = get(data, *path)
    return found if isinstance(found, list) else []


def read(path: Path, text: str | None = None, reader: Any = yaml_text.Kubernetes) -> list[Document]:
    """Every document of a file, the items of Lists taken out. ConfigError when it isn't readable."""
    try:
        text = path.read_text(encoding="utf-8") if text is None else text
        data = yaml_text.from_json(text)
        if data is not None:
            nodes, values = yaml_text.nodes(yaml_text.as_yaml(text)), [data]
        else:
            nodes, values = yaml_text.nodes(text), yaml_text.values(text, reader)
        if not all(map(_of_kubernetes, values)):
            plain = yaml_text.values(text, yaml_text.Ray)
            values = [v if _of_kubernetes(v) else p for v, p in zip(values, plain, strict=True)]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid UTF-8: {error}") from None
    except yaml.YAMLError as error:
        line, what = _said(error)
        raise ConfigError(f"{path}:{line}: {what}") from None
    documents: list[Document] = []
    for node, value in zip(nodes, values, strict=True):
        if value is not None:
            documents += _documents(str(path), node, value)
    return documents


def _said(error: yaml.YAMLError) -> tuple[int, str]:
    """The line, and `not valid YAML: …` in one line."""
    at = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return (at.line + 1 if at else 1), f"not valid YAML: {what}"


def _of_kubernetes(value: Any) -> bool:
    """Whether it wants to be one of its resources, or has nothing in it."""
    return value is None or (isinstance(value, dict) and not {"apiVersion", "kind"}.isdisjoint(value))


def _documents(file: str, node: yaml.Node, value: Any) -> Iterator[Document]:
    at_line = f"{file}:{node.start_mark.line + 1}"
    if not isinstance(value, dict):
        raise ConfigError(f"{at_line}: expected a mapping, got {_name(value)}")
    kind, some = str(value.get("kind")), value.get("items")
    if kind.endswith("List") and (isinstance(some, list) or (kind == "List" and some is None)):
        at = node_at(node, ("items",)) if some else None
        own = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
        for inner, item in zip(at.value if at else [], some or [], strict=True):
            # Those of a typed list needn't say what they are.
            typed = kind != "List" and isinstance(item, dict) and not own.keys() & item.keys()
            yield from _documents(file, inner, {**own, **item} if typed else item)
        return
    if kind == "List":
        raise ConfigError(f"{at_line}: items: expected a list, got {_name(some)}")
    report = Report(file)
    note_lines(node, (), report)
    document = Document(value, report)
    if document.kind:
        report.subject = f"{document.kind}/{document.name}"
        place = ("spec", CONFIG)
        document.config = config_in(file, node_at(node, place), get(value, *place))
    yield document


def note_lines(node: yaml.Node, place: Place, report: Report, before: int = 0) -> None:
    """Put down the line of every place, `before` lines further on in the file; and double keys."""
    if not place:
        report.lines[()] = node.start_mark.line + 1 + before
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = yaml_text.key_of(key)
            report.lines[(*place, name)] = key.start_mark.line + 1 + before
            if name in seen and name != "<<":
                report.add((*place, name), "given twice")
            seen.add(name)
            note_lines(value, (*place, name), report, before)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            report.lines[(*place, index)] = value.start_mark.line + 1 + before
            note_lines(value, (*place, index), report, before)


def config_in(
    file: str, at: yaml.Node | None, text: Any, before: int = 0
) -> tuple[Place, Any, Report] | None:
    """A Serve config in a block of text: its lines are lines of the file around it."""
    place: Place = ("spec", CONFIG)
    if not isinstance(text, str):
        return None
    inner = Report(file)
    block = at is not None and getattr(at, "style", None) == "|"
    start = (at.start_mark.line + 1 if at is not None and block else 0) + before
    try:
        content = _alone(yaml_text.nodes(text))
        data = _alone(yaml_text.values(text))
    except yaml.YAMLError as error:
        line, what = _said(error)
        if block:
            inner.lines[()] = start + line
        inner.add((), what)
        return place, None, inner
    except ValueError:
        inner.add((), "several documents: the operator reads the first alone")
        return place, None, inner
    if content is not None and block:
        note_lines(content, (), inner, start)
    elif at is not None:
        inner.lines[()] = at.start_mark.line + 1 + before
    return place, data, inner


def _alone(documents: list[Any]) -> Any:
    """ValueError when there are several."""
    (found,) = documents or [None]
    return found


def node_at(node: yaml.Node | None, place: Place) -> yaml.Node | None:
    """The node at a place below another one."""
    for step in place:
        if isinstance(node, yaml.SequenceNode):
            node = node.value[step] if isinstance(step, int) and step < len(node.value) else None
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = [inner for key, inner in pairs if key.value == step]
        if not found:
            return None
        node = found[-1]
    return node


def _name(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else f"'{value}'"


def apart(value: Any) -> Any:
    """A copy in which nothing is shared: what is changed at one place isn't at its aliases'."""
    if isinstance(value, dict):
        return {key: apart(inner) for key, inner in value.items()}
    return [apart(inner) for inner in value] if isinstance(value, list) else value
