"""An InferenceService that stays where it is, and is asked from here: `modelFormat: v2` in tandem/model.

So whatever Tandem has no runtime for (TensorFlow, PMML, a container of one's own) is served under its
name, beside the models that are here.
"""

from serve_app.tools.kserve import own
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model

FORMATS = ("v2", "triton")  # the second is the other's name here, too


def read(root: Field, model: Model) -> bool:
    """Whether it is so; then all of its model's entry is what the annotation says."""
    notes = root.at("metadata", "annotations")
    if own.entry(notes).get("modelFormat") not in FORMATS:
        return False
    own.read(notes, model)
    options = model.entry.get("options")
    if not isinstance(options, dict) or "address" not in options:
        fix = "options: {address: http://HOST:PORT}"
        notes.at(own.MODEL).wrong("names no server", "there is nobody to ask", fix)
    if notes.get(own.PLACEMENT) == "remote":
        notes.at(own.PLACEMENT).note("another server's model needs no processes: it is in the Router")
    model.inline = True
    for one in root.at("spec").inner():
        one.note("it stays on KServe, and is asked there")
    return True
