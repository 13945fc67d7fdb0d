"""`tandem check PATH…`: check, and say what was found."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.output import rendered
from serve_app.tools.check.verdict import CRDS, check


def run(paths: Sequence[Path], crds: Path | None, how: str, strict: bool) -> int:
    """0 when nothing is wrong, 1 when something is (with `strict` a warning or a note too)."""
    named = os.environ.get(CRDS)
    folder = crds or (Path(named) if named else None)
    known = Crds(folder) if folder else None
    findings = [one for path in paths for one in check(path, known)]
    if text := rendered(findings, how):
        print(text)
    bad = [one for one in findings if strict or one.severity == "error"]
    if how == "text":
        for path in paths:
            if not any(one.file == str(path) or Path(one.file).is_relative_to(path) for one in bad):
                print(f"{path}: fine", file=sys.stderr if text else sys.stdout)
    return 1 if bad else 0
