"""Mistakes in a Serve config, each found at its line."""

import pytest

from serve_app.tools.check import load_checked, verdict
from tests.unit.tools.check.configs import GOOD, ROOT, changed, line_of


def test_a_good_file_is_returned_as_it_is(check, tmp_path):
    assert check(GOOD) == []
    assert load_checked(tmp_path / "serve.yaml")["applications"][1]["name"] == "two"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_our_own_configs_pass(path):
    load_checked(path)


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        # Serve's layers
        ("http_options: {host", "http_option: {host", "http_option:",
         "unknown key; did you mean http_options?"),
        ("{host: 127.0.0.1}", "{hosts: 127.0.0.1}", "hosts",
         "http_options.hosts: unknown key; did you mean host?"),
        ("  port: 9000", "  prt: 9000", "prt", "grpc_options.prt: unknown key; did you mean port?"),
        ("    route_prefix: /\n", "    route_prefx: /\n", "prefx:",
         "route_prefx: unknown key; did you mean route_prefix?"),
        ("max_ongoing_requests: 64", "max_ongoing_request: 64", "request:",
         "did you mean max_ongoing_requests?"),
        ("          num_cpus: 1", "          num_cpu: 1", "num_cpu:",
         "ray_actor_options.num_cpu: unknown key; did you"),
        ("max_ongoing_requests: 64", "autoscaling_config: {max_replica: 2}", "max_replica",
         "did you mean max_replicas?"),
        ("max_ongoing_requests: 64", "max_ongoing_requests: many", "many", "max_ongoing_requests"),
        # the arguments of an application
        ("maxOngoingRequests", "maxOngoingRequest", "maxOngoingRequest:",
         "args.maxOngoingRequest: unknown key; did you"),
        ("storageUri: models/two", "storageURI: models/two", "storageURI", "did you mean storageUri?"),
        ("        num_gpus: 1", "        num_gpu: 1", "num_gpu:",
         "args.resources.num_gpu: unknown key; did you mean"),
        # user_config, lists inside lists
        ("          routing:", "          routin:", "routin:",
         "user_config.routin: unknown key; did you mean routing?"),
        ("                  datatype: FP32", "                  dataType: FP32", "dataType",
         "models[0].inputs[0].dataType: unknown"),
        ("                  datatype: FP32", "                  datatype: FP33", "FP33",
         "inputs[0].datatype"),
        ("                maxBatchSize: 32", "                maxBatch: 32", "maxBatch:",
         "batching.maxBatch: unknown key; did you"),
        ("            maxBatchSize: 16", "            maxBatchSize: 0", "maxBatchSize: 0",
         "user_config.batching.maxBatchSize"),
        ('"2"', "true", "defaultVersion: true", "routing.two.defaultVersion"),
        ('{defaultVersion: "1"}', '{traffic: {weights: {1: 90, 2: 5}}}', "weights:",
         "routing.one.traffic.weights: the weights have to make 100 together, they make 95"),
        ('{defaultVersion: "1"}', '{traffic: {weights: {1: 100}, stiky: {header: a}}}', "stiky",
         "routing.one.traffic.stiky: unknown key; did you mean sticky?"),
        # options, by modelFormat
        ("{task: embedding}", "{task: embedding, maxLenght: 8}", "maxLenght",
         "args.options.maxLenght: unknown key; did you mean maxLength?"),
        ("{task: embedding}", "{task: embedding, maxLength: long}", "maxLength: long",
         "args.options.maxLength: Input should be a valid integer"),
        ("{task: embedding}", "{task: embeding}", "embeding",
         "args.options.task: Input should be 'embedding'"),
        ("{task: embedding}", "{normalize: true}", "{normalize", "args.options.task: required, but not"),
        ("      options: {task: embedding}\n", "", "args:\n      modelFormat",
         "args.options.task: required, but not there"),
        ("              storageUri: models/one\n",
         "              storageUri: models/one\n              options: {thread: 2}\n", "thread:",
         "user_config.models[0].options.thread: unknown key; did you mean threads?"),
        ("              storageUri: models/one\n",
         "              storageUri: models/one\n              options:\n                task: mean\n",
         "task: mean",
         "models[0].options.task: unknown key; `task` belongs to modelFormat transformers, not onnx"),
        ("              storageUri: models/one\n",
         "              storageUri: models/one\n              options: {threads: -1}\n", "threads: -1",
         "models[0].options.threads: Input should be greater than or equal to 0"),
        # what must fit together
        ("- name: ModelReplica", "- name: ModelReplika", "ModelReplika",
         "no deployment 'ModelReplika' here; did you mean ModelReplica?"),
        ("- name: Router", "- name: router", "name: router",
         "no deployment 'router' here; did you mean Router?"),
        ("            two:", "            tow:", "tow:", "no model 'tow'; did you mean two?"),
        ("- serve_app.ingress.grpc.add_inference_service", "- other.add_servicer",
         "grpc_servicer_functions", "must hold"),
        ("    route_prefix: null", "    route_prefix: /two", "/two",
         "a model's application takes route_prefix: null"),
        ("            - name: one\n", "            - name: two\n", "  - name: two\n    route",
         "'two' is also an inline model"),
        ("{maxBatchSize: 64}", "{maxBatchSize: 65}", "{maxBatchSize: 65}",
         "65 is larger than the Router's max_ongoing_requests 64"),
        ("                maxBatchSize: 32", "                maxBatchSize: 99", "maxBatchSize: 99",
         "99 is larger"),
        ("      modelFormat: transformers", "      name: other\n      modelFormat: transformers",
         "name: other",
         "must equal the application's name, 'two'"),
        ("  - name: two\n    route_prefix", "  - name: t wo\n    route_prefix", "name: t wo",
         "letters, digits"),
        ("      modelFormat: transformers", "      placement: inline\n      modelFormat: transformers",
         "placement",
         "entry of `models`"),
        ("              modelFormat: onnx",
         "              placement: remote\n              modelFormat: onnx", "placement",
         "application of its own"),
        ("      modelFormat: transformers", "      replicas: 0\n      modelFormat: transformers",
         "replicas: 0", "nothing could ever answer"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_with_its_line(check, old, new, mark, message):
    text = changed(old, new)
    found = check(text)
    at = text[: text.index(mark)].count("\n") + 1
    assert any(line.startswith(f"{at}: ") and message in line for line in found), found


def test_two_routed_applications(check):
    text = GOOD + "  - name: three\n    route_prefix: /three\n    import_path: mine.app:app\n"
    assert check(text) == [
        f"{line_of(text, '/three')}: applications[2].route_prefix: exactly one application may have a "
        "route, and 'tandem' has one"
    ]


def test_the_router_without_a_route(check):
    (found,) = check(changed("route_prefix: /\n", "route_prefix: null\n"))
    assert "applications[0].route_prefix: the Router is the one application with a route" in found


def test_no_router(check):
    text = GOOD.replace(GOOD[GOOD.index("  - name: tandem") : GOOD.index("  - name: two")], "")
    (found,) = check(text)
    assert found.startswith(
        f"{line_of(text, 'applications:')}: applications: no application has a route"
    )


def test_a_model_whose_route_was_forgotten(check):
    """Serve's default is `/`, and its own sentence ("duplicate applications") names no line."""
    text = changed("    route_prefix: null\n", "")
    (found,) = check(text)
    assert found.startswith(f"{line_of(text, '- name: two')}: applications[1].route_prefix: `route_pre")


def test_names_that_are_there_already(check):
    text = changed("  - name: two\n", "  - name: tandem\n").replace(
        "            two:\n", "            tandem:\n"
    )
    (found,) = check(text)
    assert "applications[1].name: another application 'tandem' came before" in found


SECOND = """\
  - name: two-next
    route_prefix: null
    import_path: serve_app.app:build_model
    args:
      model: two
      modelFormat: transformers
      storageUri: models/two
      options: {task: embedding}
      versions: ["2"]
"""
LISTED = GOOD.replace(
    "      storageUri: models/two", '      storageUri: models/two\n      versions: ["1"]'
)


def test_applications_of_one_model_have_versions_of_their_own(check):
    assert check(LISTED + SECOND) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GOOD + SECOND, "applications[1].args: model 'two' has several applications: two, two-next"),
        (
            LISTED + SECOND.replace('["2"]', '["1", "2"]'),
            "applications[2].args.versions: version 1 of model 'two' is also in application 'two'",
        ),
        (
            LISTED + SECOND.replace('["2"]', "[1]"),
            "version 1 of model 'two' is also in application 'two'",
        ),
        (LISTED + SECOND.replace('["2"]', "{latest: 1}"), "args: model 'two' has several applications"),
        (LISTED + SECOND.replace('["2"]', '["x"]'), "a version is a positive integer, not 'x'"),
        (LISTED + SECOND.replace('["2"]', '["2", "2"]'), "a version is listed twice: 2, 2"),
        (
            LISTED + SECOND.replace("model: two", "model: one"),
            "applications[2].args.model: 'one' is also an inline model of the Router",
        ),
        (LISTED + SECOND.replace("model: two", "modle: two"), "unknown key; did you mean model?"),
        (LISTED + SECOND.replace("model: two", "model: a/b"), "'a/b' must start with a letter"),
    ],
)
def test_versions_of_one_model_in_several_applications(check, config, message):
    assert message in "\n".join(check(config))


def test_what_trusted_means_is_said(tmp_path):
    text = changed("              modelFormat: onnx\n", "              modelFormat: torch\n")
    more = "outputs: [{name: y, datatype: FP32, shape: [-1]}]\n              trusted: true\n"
    text = text.replace("          routing:\n", f"              {more}          routing:\n")
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    (note,) = [one for one in verdict.check(path, None) if "trusted" in one.place]
    assert (note.severity, note.line) == ("note", line_of(text, "trusted: true"))
    assert note.place.endswith("models[0].trusted")
    assert "TorchScript" in note.what
    assert "read and write" in note.why


def test_trusted_is_torchs_alone(check):
    kind = "              modelFormat: onnx\n"
    (found,) = check(changed(kind, f"{kind}              trusted: true\n"))
    assert "`trusted` belongs to modelFormat torch" in found
    assert "not onnx" in found


@pytest.mark.parametrize(
    ("shadow", "mark", "message"),
    [
        ('{version: "1"}', "shadow", "version 1 is the only one of model 'one': nothing else answers"),
        ("{version: 2}", "shadow", "model 'one' has no version 2; known: 1"),
        (
            "{version: 1, percent: 200}",
            "percent",
            "shadow.percent: Input should be less than or",
        ),
        (
            "{version: 1, outputs: {y: {atoll: 1}}}",
            "atoll",
            "y.atoll: unknown key; did you mean atol?",
        ),
    ],
)
def test_a_shadow_that_cant_be(check, shadow, mark, message):
    old = 'one: {defaultVersion: "1"}'
    listed = GOOD.replace(
        "storageUri: models/one", 'storageUri: models/one\n              versions: ["1"]'
    )
    text = listed.replace(old, f'one: {{defaultVersion: "1", shadow: {shadow}}}')
    at = text[: text.index(mark)].count("\n") + 1
    found = check(text)
    assert any(line.startswith(f"{at}: ") and message in line for line in found), found


def test_a_shadow_of_an_output_that_isnt_there(check):
    model = "                  shape: [-1, 4]\n"
    outputs = "              outputs: [{name: scores, datatype: FP32, shape: [-1, 4]}]\n"
    text = changed(model, model + outputs).replace(
        "storageUri: models/one", 'storageUri: models/one\n              versions: ["1", "2"]'
    )
    both = 'one: {defaultVersion: "1", shadow: {version: "2", outputs: {%s: {rtol: 0.1}}}}'
    old = 'one: {defaultVersion: "1"}'
    (found,) = [line for line in check(text.replace(old, both % "score")) if "shadow" in line]
    assert "shadow.outputs.score: model 'one' has no output 'score'; did you mean scores?" in found
    assert not [line for line in check(text.replace(old, both % "scores")) if "shadow" in line]
    itself = text.replace(old, 'one: {shadow: {version: "2"}}')
    assert any("version 2 answers itself" in line for line in check(itself))
