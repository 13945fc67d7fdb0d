"""`tandem check PATH…`: check, and say what was found."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.tools.check.crds import Crds
from serve_app.tools.check.output import rendered
from serve_app.tools.check.unseen import CRDS, Unseen
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Finding


def run(paths: Sequence[Path], crds: Path | None, how: str, strict: bool) -> int:
    """0 when nothing is wrong, 1 when something is (with `strict` a warning or a note too).

    ConfigError for a path that can't be read, when all others were.
    """
    named = os.environ.get(CRDS)
    folder = crds or (Path(named) if named else None)
    known = Crds(folder) if folder else None
    findings: list[Finding] = []
    unread: dict[Path, ConfigError] = {}
    unseen = Unseen()
    for path in dict.fromkeys(paths):
        try:
            findings += check(path, known, unseen)
        except ConfigError as error:
            unread[path] = error
    findings += unseen.notes(paths[0])
    findings = list({_same(one): one for one in findings}.values())
    if text := rendered(findings, how):
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    bad = [one for one in findings if strict or one.severity == "error"]
    if how == "text":
        for path in dict.fromkeys(paths):
            mine = any(one.file == str(path) or Path(one.file).is_relative_to(path) for one in bad)
            if not mine and path not in unread:
                print(f"{path}: fine", file=sys.stderr if text else sys.stdout)
    if unread:
        raise ConfigError("\n".join(map(str, unread.values())))
    return 1 if bad else 0


def _same(one: Finding) -> Finding:
    """What it is, by whichever path it was found: a file may be named beside its folder."""
    return replace(one, file=os.path.realpath(one.file))
