"""Explainers in a Serve config: each mistake at its line."""

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


def test_two_of_one_model(tmp_path):
    text = WITH + EXPLAINER.replace("name: why-two", "name: why-too")
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    (found,) = [one for one in verdict.check(path, None) if one.severity == "warning"]
    assert "model 'two' has an explainer already, application 'why-two'" in found.what
    assert "/v2/models/why-too/infer" in found.why
    assert found.line > line_of(text, "name: why-too")
