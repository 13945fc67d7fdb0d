"""Graphs in a Serve config: each mistake at its line."""

import pytest

from tests.unit.tools.check.configs import GOOD, line_of

GRAPHS = """\
          graphs:
            - name: chain
              nodes:
                root:
                  routerType: Switch
                  steps:
                    - serviceName: one
                      condition: "instances.#(n>5)"
                    - nodeName: both
                      condition: instances
                both:
                  routerType: Ensemble
                  steps:
                    - serviceName: two
                      name: second
                    - serviceName: other
            - name: other
              nodes:
                root: {routerType: Sequence, steps: [{serviceName: one}]}
"""
WITH = GOOD.replace("          routing:\n", f"{GRAPHS}          routing:\n")


def test_a_good_one(check):
    assert check(WITH) == []


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("serviceName: two", "serviceName: tow", "tow",
         "graphs[0].nodes.both.steps[0].serviceName: no model 'tow'; did you mean two?"),
        ("nodeName: both", "nodeName: bth", "bth", "nodeName: no node 'bth'; did you mean both?"),
        ("routerType: Ensemble", "routerType: Ensemle", "Ensemle", "did you mean Ensemble?"),
        ("condition: instances\n", "condition: instances.@reverse\n", "@reverse",
         "the modifier @reverse isn't supported"),
        ("steps: [{serviceName: one}]", "steps: [{serviceName: chain}]", "name: chain",
         "graphs in a circle: chain -> other -> chain"),
        ("serviceName: one\n", "servceName: one\n", "servceName",
         "unknown key; did you mean serviceName?"),
    ],
)  # fmt: skip
def test_each_mistake_at_its_line(check, old, new, mark, message):
    text = WITH.replace(old, new, 1)
    found = check(text)
    assert any(message in one for one in found), found
    line = line_of(text, mark)
    assert any(one.startswith(f"{line}: ") and message in one for one in found), (line, found)


def test_the_name_of_a_model(check):
    text = WITH.replace("- name: other", "- name: two", 1)
    assert any("graphs[1].name: 'two' is also a model" in one for one in check(text))


def test_a_class_around_a_model(check):
    around = """\
          transformers:
            - {name: images, class: "mine:Images", predictor: one}
"""
    text = GOOD.replace("          routing:\n", f"{around}          routing:\n")
    assert check(text) == []
    wrong = text.replace("predictor: one", "predictor: oen")
    said = "transformers[0].predictor: no model 'oen'; did you mean one?"
    assert any(said in one for one in check(wrong))
    taken = text.replace("name: images", "name: two")
    assert any("transformers[0].name: 'two' is also a model" in one for one in check(taken))
