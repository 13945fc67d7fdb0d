"""Explainers in a Serve config: each mistake at its line."""

from pathlib import Path

import pytest

from serve_app.tools.check import verdict
from tests.unit.tools.check.configs import GOOD, line_of

EXPLAINER = """\
  - name: why-two
    route_prefix: null
    import_path: serve_app.app:build_model
    args:
      explains: two
      explainer:
        method: lime
        kind: text
        samples: 500
"""
WITH = GOOD.rstrip("\n") + "\n" + EXPLAINER


def test_a_good_one(check):
    assert check(WITH) == []


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("explains: two", "explains: tow", "tow", "args.explains: no model 'tow'; did you mean two?"),
        ("explains: two", "explain: two", "explain: two", "unknown key; did you mean explains?"),
        ("explains: two", "explains: why-two", "explains:", "'why-two' is the explainer itself"),
        ("        samples: 500", "        sample: 500", "sample: 500",
         "explainer.sample: unknown key; did you mean samples?"),
        ("method: lime", "method: lim", "method: lim", "did you mean lime?"),
        ("kind: text", "kind: txt", "kind: txt", "did you mean text?"),
        ("kind: text", "kind: tabular", "explains: two", "needs storageUri"),
        ("        samples: 500", "        steps: 5", "steps: 5",
         "explainer.steps: steps belongs to method integratedGradients, not lime"),
    ],
)  # fmt: skip
def test_mistakes(check, old, new, mark, message):
    text = WITH.replace(EXPLAINER, EXPLAINER.replace(old, new))
    assert any(message in one for one in check(text)), check(text)


OWN = """\
class Why:
    def __init__(self, model, scale): ...

    def explain(self, inputs, parameters): ...
"""


def own(mine: Path, text: str, options: str = "{scale: 1}") -> str:
    (mine / "mine" / "why.py").write_text(text)
    begin, _, _ = EXPLAINER.partition("      explainer:")
    return (
        GOOD.rstrip("\n")
        + "\n"
        + begin
        + f"""\
      modelFormat: python
      class: mine.why:Why
      options: {options}
"""
    )


def looked_at(tmp_path: Path, text: str) -> list[str]:
    """What is said of the explainer, where its files are on this machine."""
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    first = line_of(text, "name: why-two")
    return [one.what for one in verdict.check(path, None) if one.line >= first]


def test_a_class_of_one_s_own(tmp_path, mine):
    def found(*how: str) -> str:
        return "; ".join(looked_at(tmp_path, own(mine, *how)))

    assert found(OWN) == ""
    assert "Why needs scale, keyword arguments of its __init__" in found(OWN, "{}")
    assert "no explain(inputs, parameters); it has explian" in found(OWN.replace("explain", "explian"))
    text = "explain is called with (inputs, parameters), and takes self, inputs"
    assert text in found(OWN.replace("inputs, parameters", "inputs"))


def test_a_background_that_cant_be_read(tmp_path):
    text = WITH.replace("kind: text", "kind: tabular").replace(
        "      explains: two", f"      storageUri: {tmp_path}\n      explains: two"
    )
    (tmp_path / "background.csv").write_text("a,b\n1,2\n3\n")
    (found,) = looked_at(tmp_path, text)
    assert "background.csv: line 3 has 1 values for 2 columns" in found
    (tmp_path / "background.csv").write_text("a,b\n1,2\n3,4\n")
    assert looked_at(tmp_path, text) == []


def test_two_of_one_model(tmp_path):
    text = WITH + EXPLAINER.replace("name: why-two", "name: why-too")
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    (found,) = [one for one in verdict.check(path, None) if one.severity == "warning"]
    assert "model 'two' has an explainer already, application 'why-two'" in found.what
    assert "/v2/models/why-too/infer" in found.why
    assert found.line > line_of(text, "name: why-too")
