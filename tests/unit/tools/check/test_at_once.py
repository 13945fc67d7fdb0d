"""Mistakes of every kind in one file: all found at once, each at its line."""

import json
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked
from serve_app.tools.check.verdict import check as verdict
from tests.unit.tools.check.configs import GOOD, changed

BAD = """\
http_option: {port: 9000}
grpc_options:
  grpc_servicer_functions: [serve_app.ingress.grpc.add_inference_servise]
applications:
  - name: tandem
    import_path: serve_app.app:build_ruoter
    deployments:
      - name: router
        num_replica: 2
        ray_actor_options: {num_gpus: none}
        user_config:
          models:
            - name: iris
              modelFormat: onxx
              storageUri: models/iris
              options: {treads: 4}
              versions: [3]
            - name: own
              modelFormat: python
              class: things.here:Modle
            - name: options
              modelFormat: python
              class: things.here:Model
              options: {treshold: 4}
            - name: typo
              modelFormat: python
              class: thigns.here:Model
              concurency: 0
          routing:
            own: {defaultVersion: 7}
            txt: {}
          limit: {timout: 0}
  - name: text
    import_path: serve_app.app:build_modle
    args:
      modelFormat: transformers
      storageUri: models/text
      options: {task: text-clasification}
      replicas: 0
      autoscaling: {minReplicas: 3, maxReplicas: 2}
  - name: bucket
    route_prefix: null
    import_path: serve_ap.app:build_model
    args: {modelFormat: torch, storageUri: s4://b/x}
  - name: folder
    route_prefix: null
    import_path: serve_app.app:build_model
    args: {modelFormat: onnx, storageUri: modles/iris}
  - name: both
    route_prefix: null
    import_path: serve_app.app:build_model
    args: {modelFormat: transformers, storageUri: models/text, batching: 3}
  - name: file
    route_prefix: null
    import_path: serve_app.app:build_model
    args: {modelFormat: onnx, storageUri: models/file, batchng: {}}
"""
# A word of the line, and what is said there.
FOUND = [
    ("http_option:", "did you mean http_options?"), ("http_option:", "9000 is for HTTP and gRPC both"),
    ("servise", "did you mean serve_app.ingress.grpc.add_inference_service?"),
    ("build_ruoter", "did you mean serve_app.app:build_router?"),
    ("- name: router", "did you mean Router?"), ("num_replica:", "did you mean num_replicas?"),
    ("num_gpus: none", "valid number"), ("onxx", "did you mean onnx?"),
    ("treads", "unknown key; did you mean threads?"), ("[3]", "3 asked for, "),
    ("Modle", "here.py has no 'Modle'; did you mean things.here:Model?"),
    ("treshold", "things.here:Model takes no 'treshold'; did you mean threshold?"),
    ("thigns", "no module 'thigns'"), ("thigns", "did you mean things.here?"),
    ("concurency", "did you mean concurrency?"), ("concurency", "greater than or equal to 1"),
    ("own: {", "model 'own' has no version 7; known: 1"), ("txt:", "no model 'txt'; did you mean text?"),
    ("limit:", "did you mean limits?"), ("limit:", "greater than 0 (got 0)"),
    ("limit:", "limits.timout: unknown key; did you mean timeout?"),
    ("- name: text", "`route_prefix: null` is missing"),
    ("build_modle", "did you mean serve_app.app:build_model?"),
    ("clasification", "did you mean text-classification?"),
    ("clasification", "the network is a BertModel, which has no weights for text-classification"),
    ("replicas: 0", "nothing could ever answer"), ("{minReplicas", "3 is larger than maxReplicas 2"),
    ("serve_ap.app", "did you mean serve_app.app:build_model?"),
    ("s4:", "no support for s4://"), ("s4:", "needs inputs and outputs"),
    ("modles", "did you mean ROOT/models/iris?"),
    ("batching: 3", "expected a mapping, got 3"), ("batching: 3", "task: required, but not there"),
    ("batchng", "did you mean batching?"), ("batchng", "maxBatchSize: required"),
    ("models/file", "rename net.onnx to model.onnx"),
]  # fmt: skip


@pytest.fixture
def user(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with models and a module."""
    monkeypatch.chdir(mine)
    for folder in ("models/iris/1", "models/text/1", "models/file/1", "things"):
        (mine / folder).mkdir(parents=True)
    (mine / "models/iris/1/model.onnx").touch()
    (mine / "models/file/1/net.onnx").touch()
    (mine / "models/text/1/config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (mine / "things" / "__init__.py").write_text("raise ImportError('a check imports nothing')\n")
    (mine / "things" / "here.py").write_text(
        "import nothing_of_that_name\n\n\nclass Model:\n    def __init__(self, threshold=1): ...\n"
        "    def predict(self, inputs, parameters): ...\n\n\n"
        "class Other:\n    def __init__(self, *, needed, **rest): ...\n    def predcit(self): ...\n\n\n"
        "class Child(Model): ...\n\n\nclass Needs:\n    def __init__(self, *, needed, **rest): ...\n"
        "    def predict(self, inputs, parameters=None): ...\n\n\nclass One:\n"
        "    def predict(self, inputs): ...\n\n\n"
        "class Told:\n    def __init__(self, folder, version, name): ...\n"
        "    def predict(self, inputs, parameters): ...\n\n\n"
        "if True:\n    Alias = Model\nfrom os import path as imported\n"
    )
    return mine


def test_all_of_them(user: Path) -> None:
    (user / "bad.yaml").write_text(BAD)
    lines, found = BAD.splitlines(), list(verdict(user / "bad.yaml", None))
    said = [(lines[one.line - 1], f"{one.place}: {one.what}") for one in found]
    for word, text in FOUND:
        wanted = text.replace("ROOT", str(user))
        assert any(word in line and wanted in what for line, what in said), (word, text, said)
    for line, what in said:
        assert any(w in line and text.replace("ROOT", str(user)) in what for w, text in FOUND), what


def test_a_config_in_a_manifest_isnt_for_this_machine(user: Path) -> None:
    """Its folders and modules are in the image; what no machine could serve is found all the same."""
    text = "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\nspec:\n  serveConfigV2: |\n"
    text += "".join(f"    {line}\n" for line in BAD.splitlines())
    (user / "service.yaml").write_text(text)
    lines = text.splitlines()
    found = [(lines[one.line - 1], one.what) for one in verdict(user / "service.yaml", None)]
    for word, said in (("s4:", "no support for s4://"), ("onxx", "onnx?"), ("{minRep", "3 is larger")):
        assert any(word in line and said in what for line, what in found), said
    for word in ("modles", "thigns", "Modle", "[3]"):
        assert not any(word in line for line, _ in found), word


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("things.here:Model", "{threshold: 3}", ""), ("things.here:Child", "{any: 3}", ""),
        ("things.here:Alias", "{}", ""), ("things.here:imported", "{}", ""),
        ("things.here:Other", "{needed: 1}", "has no predict(inputs, parameters); it has predcit"),
        ("things.here:One", "{}", "predict is called with (inputs, parameters), and takes self, inputs"),
        ("things.here:Told", "{}", ""),
        ("things.here:Needs", "{}", "needs needed, keyword arguments of its __init__"),
        ("things.her:Model", "{}", "the package things has no module 'her'; did you mean things.here?"),
        ("things.here.more:Model", "{}", "things.here is a module and no package"),
        ("things/here.py:Model", "{}", "a file in place of a module; did you mean things.here:Model?"),
        ("mine.models:Anything", "{a: 1}", ""), ("broken:Model", "{}", "broken.py:2: "),
        ("json.decoder:JSONDecoder", "{}", "has no predict"), ("sys:Model", "{}", ""),
    ],
)  # fmt: skip
def test_classes(user: Path, path: str, options: str, says: str) -> None:
    (user / "broken.py").write_text("x = 1\nclass Model(:\n")
    text = GOOD.replace("              modelFormat: onnx\n              storageUri: models/one\n",
                        f"              modelFormat: python\n              class: {path}\n"
                        f"              options: {options}\n")  # fmt: skip
    text = text.replace("models/two", "models/text").replace('"2"', '"1"')
    (user / "a.yaml").write_text(text)
    found = [one.what for one in verdict(user / "a.yaml", None)]
    assert len(found) == bool(says)
    assert says in "".join(found)


@pytest.mark.parametrize(
    "env", ["working_dir: 'https://a/b.zip'", "pip: [thigns]", "env_vars: {PYTHONPATH: ELSEWHERE}"]
)
def test_modules_that_a_runtime_environment_brings(user: Path, tmp_path: Path, env: str) -> None:
    (tmp_path / "thigns").mkdir()
    (tmp_path / "thigns" / "__init__.py").write_text("app = 1\n")
    app = f"applications:\n- name: a\n  import_path: thigns:app\n  runtime_env: {{{env}}}\n"
    (user / "a.yaml").write_text(app.replace("ELSEWHERE", str(tmp_path)))
    assert list(verdict(user / "a.yaml", None)) == []


@pytest.mark.parametrize(
    ("versions", "default", "says"),
    [
        ("[1, 3]", "3", ""), ("[1, 3]", '"2"', "no version 2; known: 1, 3"),
        ("all", "2", "no version 2; known: 1"), ("all", "1", ""), ("latest", "1", ""),
        ("2", "2", "a list of versions, as in [2]"), ("[two]", "2", "a positive integer, not 'two'"),
        ("[true]", "2", "a positive integer, not 'True'"),
        ("{latest: 1}", "1", "no version 1; known: 3"), ("{latest: 2}", "1", ""),
        ("{latest: {num_versions: 2}}", "3", ""), ("{specific: {versions: [3]}}", "3", ""),
        ("{latest: 0}", "3", "at least 1, got 0"), ("{newest: 2}", "3", "{latest: N}"),
    ],
)  # fmt: skip
def test_versions(user: Path, versions: str, default: str, says: str) -> None:
    (user / "models/text/3").mkdir()
    (user / "models/text/3/config.json").write_text("{}")
    (user / "models/one/1").mkdir(parents=True)
    (user / "models/one/3").mkdir()
    for version in "13":
        (user / "models/one" / version / "model.onnx").touch()
    if versions in ("all", "latest"):
        (user / "models/one/3").rename(user / "models/three")
    text = changed(
        "storageUri: models/one", f"storageUri: models/one\n              versions: {versions}"
    )
    text = text.replace('defaultVersion: "2"', "defaultVersion: 3").replace("models/two", "models/text")
    text = text.replace('one: {defaultVersion: "1"}', f"one: {{defaultVersion: {default}}}")
    (user / "a.yaml").write_text(text)
    found = [one.what for one in verdict(user / "a.yaml", None)]
    assert len(found) == bool(says), found
    assert says in "".join(found)


def test_what_a_machine_lacks_is_told_and_the_rest_is_served(user: Path) -> None:
    (user / "a.yaml").write_text(GOOD)
    told: list[str] = []
    assert load_checked(user / "a.yaml", told.append)["applications"]
    assert [line.partition(": ")[0] for line in told] == [f"{user}/a.yaml:20", f"{user}/a.yaml:36"]
    assert all("storageUri: no folder at" in line for line in told)
    (user / "b.yaml").write_text(GOOD.replace("models/one", "s4://one"))
    with pytest.raises(ConfigError, match=r"b.yaml:20: .*no support for s4://"):
        load_checked(user / "b.yaml", told.append)


def test_a_module_is_text_to_a_check(user: Path) -> None:
    """Nothing of the user's runs: the package `things` would raise."""
    (user / "a.yaml").write_text("applications:\n- {name: a, import_path: 'things.here:Child'}\n")
    assert list(verdict(user / "a.yaml", None)) == []


def test_names_that_are_no_names_arent_given_twice(user: Path) -> None:
    """What stands in for them while the rest is looked at is nobody's name."""
    models = "".join(
        f"            - {{name: {name}, modelFormat: onnx, storageUri: models/iris}}\n"
        for name in ("x", '""', "5", "[]", "x")
    )
    head = (
        "applications:\n  - name: tandem\n    route_prefix: /\n"
        "    import_path: serve_app.app:build_router\n    deployments:\n      - name: Router\n"
        "        user_config:\n          models:\n"
    )
    (user / "a.yaml").write_text(head + models)
    found = [(one.line, "twice" in one.what) for one in verdict(user / "a.yaml", None)]
    assert found == [(10, False), (11, False), (12, False), (13, True)]


def test_two_configs_in_one_file(user: Path) -> None:
    (user / "a.yaml").write_text(f"{GOOD}---\n{GOOD}")
    (found,) = (one for one in verdict(user / "a.yaml", None) if "second Serve config" in one.what)
    assert (found.line, found.severity) == (len(GOOD.splitlines()) + 2, "error")
    (user / "more").mkdir()
    for name in ("one.yaml", "two.yaml"):
        (user / "more" / name).write_text(GOOD)
    assert not any("second Serve config" in one.what for one in verdict(user / "more", None))
