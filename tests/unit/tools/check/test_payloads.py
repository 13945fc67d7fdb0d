"""Payload loggers in a Serve config: each mistake at its line."""

import importlib.util

import pytest

from serve_app.tools.check import verdict
from tests.unit.tools.check.configs import GOOD, line_of

LOGGERS = """\
          payloads:
            - url: http://message-dumper.default/
              mode: all
              models: [one, two]
            - url: s3://bucket/payloads
              format: parquet
              redact: [instances.name]
"""
WITH = GOOD.replace("          routing:\n", f"{LOGGERS}          routing:\n")


def test_good_ones(check):
    assert check(WITH) == []


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("models: [one, two]", "models: [one, tow]", "tow",
         "payloads[0].models[1]: no model 'tow'; did you mean two?"),
        ("mode: all", "mode: requests", "mode: requests", "did you mean request?"),
        ("url: s3://", "url: s4://", "s4", "payloads[1].url: starts with one of http://"),
        ("redact: [instances.name]", "redacted: [a]", "redacted", "unknown key; did you mean redact?"),
        ("url: http://m", "format: json\n              url: http://m", "- format",
         "format is for files"),
    ],
)  # fmt: skip
def test_each_mistake_at_its_line(check, old, new, mark, message):
    text = WITH.replace(old, new, 1)
    found = check(text)
    line = line_of(text, mark)
    assert any(one.startswith(f"{line}: ") and message in one for one in found), (line, found)


def test_what_this_machine_lacks(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in ("s3fs", "pyarrow") else there(name)
    )
    path = tmp_path / "serve.yaml"
    path.write_text(WITH)
    found = [one for one in verdict.check(path, None) if ".payloads" in one.place]
    assert [(one.what, one.fix) for one in found] == [
        ("s3fs isn't installed here", "pip install 'tandem-serve[s3]'"),
        ("pyarrow isn't installed here", "pip install 'tandem-serve[batch]'"),
    ]
