import pytest

from serve_app.config import (
    ENGINE_CONCURRENCY,
    Batching,
    InlineModel,
    RemoteModel,
    ReplicaUserConfig,
    RouterArgs,
    RouterUserConfig,
    did_you_mean,
    join,
    keys_at,
    parse,
)
from serve_app.errors import ConfigError

INLINE = {"name": "m", "modelFormat": "onnx", "storageUri": "models/m"}
REMOTE = {"modelFormat": "onnx", "storageUri": "models/m"}
LLM = {
    "modelFormat": "vllm",
    "storageUri": "models/m",
    "engine": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
}
TENSOR = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}


def refused(kind, data, where="") -> str:
    with pytest.raises(ConfigError) as caught:
        parse(kind, data, where)
    return str(caught.value)


def test_a_whole_model():
    model = parse(
        RemoteModel,
        REMOTE
        | {
            "name": "m", "versions": ["1", "2"], "inputs": [TENSOR], "outputs": [TENSOR | {"name": "y"}],
            "options": {"threads": 1}, "batching": {"maxBatchSize": 8, "maxLatency": 1.5},
            "concurrency": 2,
            "warmUp": False, "resources": {"num_cpus": 0.5, "num_gpus": 1},
            "autoscaling": {"minReplicas": 0, "maxReplicas": 3, "scaleTarget": 2},
        },
    )  # fmt: skip
    assert model.inputs[0].shape == (-1, 4)
    assert model.batching == Batching(maxBatchSize=8, maxLatency=1.5)
    assert (model.in_flight, model.autoscaling.max_replicas, model.resources.num_gpus) == (3, 3, 1)


@pytest.mark.parametrize("kind", [RouterUserConfig, RouterArgs, ReplicaUserConfig])
def test_an_empty_config_is_a_config(kind):
    assert parse(kind, {}) == kind()


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (InlineModel, INLINE | {"storageURI": "x"}, "storageURI: unknown key; did you mean storageUri?"),
        (InlineModel, INLINE | {"storage_uri": "x"},
         "storage_uri: unknown key; did you mean storageUri?"),
        (InlineModel, INLINE | {"modelformat": "x"}, "did you mean modelFormat?"),
        (InlineModel, INLINE | {"class_path": "a:B"}, "class_path: unknown key; did you mean class?"),
        (InlineModel, INLINE | {"batching": {"max_batch_size": 8}}, "did you mean maxBatchSize?"),
        (InlineModel, INLINE | {"batching": {"maxBatchsize": 8}},
         "batching.maxBatchsize: unknown key; did you mean"),
        (InlineModel, INLINE | {"inputs": [TENSOR | {"dtype": "FP32"}]},
         r"inputs\[0\].dtype: unknown key; did you"),
        (InlineModel, INLINE | {"replicas": 2}, "replicas: unknown key"),
        (RemoteModel, REMOTE | {"resources": {"numGpus": 1}},
         "resources.numGpus: unknown key; did you mean num_gpus?"),
        (RemoteModel, REMOTE | {"autoscaling": {"maxReplica": 1}}, "did you mean maxReplicas?"),
        (RemoteModel, REMOTE | {"tokeniser": {}}, "did you mean tokenizer?"),
        (RouterUserConfig, {"limit": {}}, "limit: unknown key; did you mean limits?"),
        (RouterUserConfig, {"limits": {"maxBodyByte": 1}},
         "limits.maxBodyByte: unknown key; did you mean maxBodyBytes"),
        (RouterUserConfig, {"routing": {"m": {"defaultversion": "1"}}},
         "routing.m.defaultversion.*defaultVersion"),
        (RouterUserConfig, {"models": [INLINE | {"warmup": False}]},
         r"models\[0\].warmup.*did you mean warmUp"),
        (RouterUserConfig, {"logging": {"request": True}}, "did you mean requests?"),
        (RouterArgs, {"maxOngoingRequest": 5}, "did you mean maxOngoingRequests?"),
        (ReplicaUserConfig, {"batchin": {}}, "did you mean batching?"),
    ],
)  # fmt: skip
def test_unknown_keys_come_with_a_suggestion(kind, data, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        parse(kind, data)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (RemoteModel, REMOTE | {"replicas": 0}, "nothing could ever answer"),
        (RemoteModel, REMOTE | {"replicas": -1}, "nothing could ever answer"),
        (RemoteModel, REMOTE | {"replicas": 2, "autoscaling": {"maxReplicas": 2}},
         "replicas or autoscaling, not both"),
        (RemoteModel, REMOTE | {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
         "minReplicas 3 is larger"),
        (RemoteModel, REMOTE | {"autoscaling": {"maxReplicas": 2, "scaleTarget": 2}},
         "scaleTarget 2 is never passed"),
        (RemoteModel, REMOTE | {"autoscaling": {"maxReplicas": 2, "scaleTarget": 0}}, "scaleTarget"),
        (RemoteModel, REMOTE | {"placement": "inline"}, "entry of `models` in the Router's user_config"),
        (InlineModel, INLINE | {"placement": "remote"}, "application of its own"),
        (InlineModel, INLINE | {"placement": "local"}, "placement"),
        (RemoteModel, REMOTE | {"tokenizer": {}},
         "tokenizer belongs to modelFormat transformers, not onnx"),
        (InlineModel, {"name": "m", "modelFormat": "python"}, "needs `class`"),
        (InlineModel, INLINE | {"class": "a:B"}, "`class` belongs to modelFormat python, not onnx"),
        (InlineModel, {"name": "m", "modelFormat": "torch"}, "modelFormat torch needs storageUri"),
        (InlineModel, INLINE | {"modelFormat": "torch"}, "needs inputs and outputs"),
        (InlineModel, REMOTE, "name: required, but not there"),
        (InlineModel, INLINE | {"modelFormat": "paddle"}, "modelFormat.*got 'paddle'"),
        (InlineModel, INLINE | {"inputs": [TENSOR, TENSOR]}, "inputs holds a name twice: x, x"),
        (InlineModel, INLINE | {"outputs": [TENSOR, TENSOR]}, "outputs holds a name twice"),
        (InlineModel, INLINE | {"inputs": [TENSOR | {"shape": [-2]}]}, r"inputs\[0\].shape.*at least 0"),
        (InlineModel, INLINE | {"inputs": [TENSOR | {"datatype": "fp32"}]},
         r"inputs\[0\].datatype.*got 'fp32'"),
        (InlineModel, INLINE | {"inputs": [TENSOR | {"name": ""}]}, r"inputs\[0\].name"),
        (InlineModel, INLINE | {"batching": {"maxBatchSize": 0}}, "batching.maxBatchSize.*got 0"),
        (InlineModel, INLINE | {"batching": {"maxBatchSize": 1, "maxLatency": -1}}, "maxLatency"),
        (InlineModel, INLINE | {"batching": {}}, "batching.maxBatchSize: required"),
        (InlineModel, INLINE | {"concurrency": 0}, "concurrency"),
        (InlineModel, INLINE | {"modelFormat": "vllm"}, "vllm is for applications of their own"),
        (RemoteModel, REMOTE | {"engine": {"dtype": "auto"}}, "belong to modelFormat vllm, not onnx"),
        (RemoteModel, LLM | {"swap": "replace"}, "swap: an engine's processes are replaced by Serve"),
        (InlineModel, INLINE | {"swap": "now"}, "swap: Input should be 'beside' or 'replace'"),
        (RemoteModel, LLM | {"batching": {"maxBatchSize": 2}}, "batches by itself"),
        (RemoteModel, LLM | {"inputs": [TENSOR]}, "inputs and outputs of its own"),
        (RemoteModel, LLM | {"llm": {"routing": "prefx"}}, "llm.routing.*'prefix'.*got 'prefx'"),
        (RemoteModel, LLM | {"resources": {"num_gpus": 3}}, "3 differs from what the engine takes.*= 4"),
        (RouterUserConfig, {"models": [INLINE, INLINE]}, "models holds 'm' twice"),
        (RouterUserConfig, {"limits": {"timeout": 0}}, "limits.timeout"),
        (RouterUserConfig, {"discoveryInterval": 0}, "discoveryInterval"),
        *((RouterUserConfig, {"routing": {"m": {"shadow": shadow}}}, f"routing.m.shadow{message}")
          for shadow, message in (
              ({}, ".version: required"),
              ({"version": 0}, ".version: a version is a positive integer, got 0"),
              ({"version": "new"}, ".version: a version is a positive integer, got 'new'"),
              ({"version": 2, "percent": -1}, ".percent.*greater than or equal to 0"),
              ({"version": 2, "percent": 100.1}, ".percent.*less than or equal to 100"),
              ({"version": 2, "percent": float("nan")}, ".percent.*finite"),
              ({"version": 2, "maxQueued": 0}, ".maxQueued"),
              ({"version": 2, "precent": 5}, ".precent: unknown key; did you mean percent"),
              ({"version": 2, "outputs": {"y": {"rtl": 5}}}, ".outputs.y.rtl: unknown key; did you"),
              ({"version": 2, "outputs": {"y": {"rtol": -1}}}, ".outputs.y.rtol"),
              ({"version": 2, "outputs": {"y": {"cosine": 1.1}}}, ".outputs.y.cosine"),
              ({"version": 2, "outputs": {"y": {"cosine": 0.9, "atol": 1}}},
               ".outputs.y: an output is compared in one way, and here are rtol and atol and cosine"),
              ({"version": 2, "examples": 1000}, ".examples"),
          )),
        (RouterUserConfig, {"models": "m"}, "models"),
        (RouterUserConfig, [], "expected a mapping, got list"),
        (RouterUserConfig, None, "expected a mapping, got NoneType"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(kind, data, message):
    with pytest.raises(ConfigError, match=message):
        parse(kind, data)


def test_an_engine_holds_many_requests_and_may_span_gpus():
    assert parse(RemoteModel, LLM).concurrency == ENGINE_CONCURRENCY
    assert parse(RemoteModel, LLM | {"concurrency": 8}).concurrency == 8
    assert parse(RemoteModel, LLM | {"resources": {"num_gpus": 4}}).resources.num_gpus == 4


def test_more_concurrency_makes_room_for_a_higher_target():
    autoscaling = {"maxReplicas": 2, "scaleTarget": 2}
    assert parse(RemoteModel, REMOTE | {"concurrency": 2, "autoscaling": autoscaling}).in_flight == 3


@pytest.mark.parametrize("name", ["m", "0", "a.b-c_D9", "x" * 128])
def test_names_that_can_be_served(name):
    assert parse(InlineModel, INLINE | {"name": name}).name == name


@pytest.mark.parametrize(
    "name", ["", ".m", "-m", "_m", "a/b", "a b", "a:b", "é", "m\n", "x" * 129, "a?"]
)
def test_names_that_cannot(name):
    assert "letters" in refused(InlineModel, INLINE | {"name": name})


def test_all_mistakes_are_listed_with_their_places():
    data = {"models": [INLINE | {"x": 1}, {"name": "n"}], "limits": {"timeout": -1}}
    lines = refused(RouterUserConfig, data, "user_config").splitlines()
    assert len(lines) == 3
    assert all(line.startswith("user_config.") for line in lines)


def test_a_parsed_config_does_not_change():
    model = parse(InlineModel, INLINE)
    with pytest.raises(ValueError):
        model.concurrency = 5


def test_keys_are_found_by_walking_the_types():
    assert "maxBatchSize" in keys_at(RouterUserConfig, ["models", 3, "batching"])
    assert "defaultVersion" in keys_at(RouterUserConfig, ["routing", "any-name"])
    assert "num_gpus" in keys_at(RemoteModel, ["resources"])


def test_suggestions():
    assert did_you_mean("modle", ["model", "other"]) == "; did you mean model?"
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("zzz", []) == ""


def test_places_are_written_as_in_the_file():
    assert join("", ("a", 0, "b", "c", 2)) == "a[0].b.c[2]"
    assert join("args", ()) == "args"
    assert join("", ()) == "(top)"


OPTIONS = {
    "torch": {"threads": 2},
    "onnx": {"threads": 2},
    "transformers": {"task": "embedding", "maxLength": 8, "dtype": "float16"},
    "python": {"any": "thing", "max-lenght": [1]},
}


@pytest.mark.parametrize(("model_format", "options"), OPTIONS.items())
def test_options_are_those_of_the_format(model_format, options):
    data = {"modelFormat": model_format, "options": options}
    data |= {"class": "a:B"} if model_format == "python" else {"storageUri": "x"}
    data |= {"inputs": [TENSOR], "outputs": [TENSOR]} if model_format == "torch" else {}
    assert parse(RemoteModel, data).options == options
    if model_format != "python":
        wrong = refused(RemoteModel, data | {"options": options | {"thread": 1}})
        assert wrong == "options.thread: unknown key; did you mean threads?"
        far = refused(RemoteModel, data | {"options": options | {"colour": 1}}).partition("known: ")
        assert far[0] == "options.colour: unknown key; "
        assert "threads" in far[2].split(", ")


def test_all_that_is_wrong_with_options_comes_with_the_rest():
    data = REMOTE | {"options": {"threads": "many", "dtype": "float16"}, "concurrency": 0}
    assert [line.partition(" (")[0] for line in refused(RemoteModel, data).splitlines()] == [
        "options.threads: Input should be a valid integer, unable to parse string as an integer",
        "options.dtype: unknown key; `dtype` belongs to modelFormat transformers, not onnx",
        "concurrency: Input should be greater than or equal to 1",
    ]
