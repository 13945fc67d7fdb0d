"""What a file says to Tandem alone, in annotations that KServe passes over.

`tandem/model` holds keys of a model's entry, as YAML: those that no field of KServe's has. They count
before what is read from the fields. `tandem/placement: inline` puts the model into the Router.
`tandem/transformer` names the class that runs in the place of a transformer's container.
"""

from typing import Any

import yaml

from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model

MODEL, PLACEMENT, TRANSFORMER = "tandem/model", "tandem/placement", "tandem/transformer"
KEPT = "tandem/kserve"  # on a RayService: what it has no place for (`merge`)
_OF_APPLICATIONS = ("replicas", "autoscaling", "resources", "model", "tokenizer", "engine", "llm")


def entry(notes: Field, annotation: str = MODEL) -> dict[str, Any]:
    """The keys that are said there; empty where nothing is, or nothing can be read."""
    text = notes.get(annotation)
    try:
        found = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def read(notes: Field, model: Model, annotation: str = MODEL) -> None:
    """Put them into a model's entry."""
    note = notes.at(annotation)
    if not note:
        return
    found = entry(notes, annotation)
    if not found:
        note.wrong("expected keys of a model as YAML", fix="options: {threads: 1}")
        return
    note.carry()
    for key, value in found.items():
        both = isinstance(value, dict) and isinstance(model.entry.get(key), dict)
        model.put(str(key), {**model.entry[key], **value} if both else value, note)


def placed(notes: Field, model: Model) -> None:
    """Whether it is to be in the Router's process."""
    note = notes.at(PLACEMENT)
    if not note:
        return
    if note.data not in ("inline", "remote"):
        note.wrong(f"expected inline or remote, got {note.data!r}")
        return
    note.carry()
    model.inline = note.data == "inline"


def inside(model: Model, source: Field) -> None:
    """Take out what only an application of its own can have, and say so."""
    for key in _OF_APPLICATIONS:
        if key in model.entry:
            del model.entry[key]
            source.note(f"`{key}` isn't of a model inside the Router", fix="tandem/placement: remote")
    if model.env:
        source.warn(
            "its env isn't set: the Router's process is everybody's", fix="tandem/placement: remote"
        )
        model.env.clear()
