"""Which of a folder's CRDs are read."""

from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.check import crds
from serve_app.tools.check.crds import Crds


@pytest.mark.parametrize(
    "text",
    [
        "spec: {{group: {0}, names: {{kind: Thing}}, versions: []}}",
        'spec:\n  "group": "{0}"  # ours\n  names:\n    kind: Thing\n  versions: []\n',
        "spec:\n  names: {{kind: Thing}}\n  versions: []\n  group: '{0}'",
        '{{"spec":{{"group":"{0}","names":{{"kind":"Thing"}},"versions":[]}}}}',
    ],
)
def test_only_those_of_the_group_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Reading takes seconds a megabyte, and large ones speak of others' groups."""
    (tmp_path / "one.yaml").write_text(text.format("a.io"))
    (tmp_path / "two.yaml").write_text(text.format("b.io") + "\n# a Thing of a.io, group: xa.io\n")
    read: list[str] = []
    whole = crds.definitions

    def definitions(text: str) -> Any:
        read.append(text)
        return whole(text)

    monkeypatch.setattr(crds, "definitions", definitions)
    found = Crds(tmp_path).find("a.io", "Thing")
    assert found is not None
    assert found["spec"]["group"] == "a.io"
    assert read == [text.format("a.io")]
