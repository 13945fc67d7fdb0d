"""The process that loads a pickle, and later the one that loads what was made of it.

Its job is on its standard input. It confines itself first (serve_app.tools.convert.confine), says on
its standard output what it couldn't give up, and then nothing more: what it found is in files of its
working folder (serve_app.tools.convert.apart reads them). All that runs after that may be whatever the
pickle's author wanted.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """0 when it did it; else `error.txt` says why."""
    work = Path(sys.argv[1]).resolve()
    job = json.load(sys.stdin)
    from serve_app.tools.convert.confine import confine

    left = confine([Path(one) for one in job["readable"]], work, job["privileged"])
    print(json.dumps(left), flush=True)
    os.dup2(2, 1)
    try:
        {"make": _make, "ask": _ask}[job["step"]](work, job)
    except Exception as error:
        (work / "error.txt").write_text(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _make(work: Path, job: dict[str, Any]) -> None:
    """Load the pickle, write the other file, and what the model answers before."""
    import joblib

    from serve_app.tools.convert import forms

    model = joblib.load(work / job["file"])
    made = forms.made(model, job["to"], work)
    rows = forms.rows(made.runtime, job["rows"])
    forms.write(work / "rows.npz", rows)
    forms.write(work / "before.npz", forms.answers(made.runtime, rows))
    about = {"file": made.file, "format": made.model_format, "options": made.options,
             "kind": made.kind, "default": made.runtime.default}  # fmt: skip
    (work / "made.json").write_text(json.dumps(about))


def _ask(work: Path, job: dict[str, Any]) -> None:
    """What the other file answers, served as it will be."""
    from serve_app.tools.convert import forms

    runtime = forms.served(work / job["file"], job["format"], job["options"])
    rows = forms.read(work / "rows.npz")
    forms.write(work / "after.npz", forms.answers(runtime, rows, job["default"]))
