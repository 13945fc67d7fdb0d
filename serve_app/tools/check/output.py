"""Findings for people, for programs, and for GitHub's annotations."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from serve_app.tools.kube.findings import Finding

FORMATS = ("text", "json", "github")


def rendered(findings: Sequence[Finding], how: str) -> str:
    """All of them in one of FORMATS."""
    if how == "json":
        return json.dumps([asdict(one) for one in findings], indent=1, ensure_ascii=False)
    return "\n".join(map(_annotation if how == "github" else str, findings))


def _annotation(one: Finding) -> str:
    kind = {"note": "notice"}.get(one.severity, one.severity)
    title = f"{one.subject}: {one.place}" if one.subject else one.place
    parts = [one.what, f"why: {one.why}" if one.why else "", f"fix: {one.fix}" if one.fix else ""]
    message = _escaped("\n".join(filter(None, parts)))
    return f"::{kind} file={_value(one.file)},line={one.line},title={_value(title)}::{message}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
