"""A comparison's options and sides: what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from loadtests.client.target import TargetError
from loadtests.compare.arguments import _known, options_of, parser
from loadtests.compare.cases import CASES, copies, spread, title
from loadtests.compare.checks import Incomparable, same_versions
from loadtests.compare.options import Options, Slo, parse_prices, parse_slo
from loadtests.compare.own import payload, read
from loadtests.compare.progress import Steps, minutes
from loadtests.compare.sides import Side, configured
from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.package.runs import SLO


def test_slos_and_prices_are_read_and_wrong_ones_refused() -> None:
    assert parse_slo("p99.9=20ms") == ("", Slo(0.999, 0.02))
    assert parse_slo("sentences:p95=300ms") == ("sentences", Slo(0.95, 0.3))
    options = Options(slos={"": SLO, "sentences": Slo(0.5, 1), "sentences/grpc": Slo(0.9, 2)})
    assert [options.slo(case) for case in ("identity/http", "sentences/http", "sentences/grpc")] == [
        SLO, Slo(0.5, 1), Slo(0.9, 2),
    ]  # fmt: skip
    for text in ("p99", "p99=50", "p100=5ms", "99=50ms"):
        with pytest.raises(ValueError, match="an SLO is p99=50ms"):
            parse_slo(text)
    for text in ("core", "cores=1", "core=x"):
        with pytest.raises(ValueError, match="prices are core="):
            parse_prices(text)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--parts", "laod"], "no part 'laod', did you mean 'load'?"),
        (["--cases", "identity/htp"], "did you mean 'identity/http'?"),
        (["--target", "tandem"], "a comparison needs two sides"),
        (["--target", "tandem", "--target", "tandem"], "every side needs its own name"),
        (["--rounds", "1"], "two rounds or more"),
        (["--switch", "tandem"], "a switch is SIDE=COMMAND"),
        (["--payload", "model"], "a payload is MODEL=FILE"),
        (["--cases", "identity/http,docs/comparison/cases.yaml"], "--cases has identity/http twice"),
    ],
)
def test_wrong_options_say_what_is_meant(arguments: list[str], problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        options_of(parser("").parse_args(arguments))
    assert problem in str(caught.value)


def test_quick_is_a_start_that_options_change() -> None:
    options = options_of(parser("").parse_args(["--quick", "--seconds", "2", "--slo", "p95=9ms"]))
    assert (options.seconds, options.sides) == (2, ("tandem", "kserve-tuned"))
    assert options.rounds >= 10
    assert options.slo("identity/http") == Slo(0.95, 0.009)
    assert _known("start,load", ("start", "load"), "part") == ("start", "load")


def test_sides() -> None:
    assert Side.parse("again=tandem", {}).kind == "tandem"
    there = Side.parse("there=http://h:1", {"there": "kubectl apply -f x.yaml"})
    assert there.target is not None
    assert there.switchable
    assert not Side.parse("there=http://h:1", {}).switchable
    with pytest.raises(TargetError, match="'kserv' is neither name=URL nor one of kserve"):
        Side.parse("kserv", {})


def test_sides_that_compute_with_other_versions_are_refused() -> None:
    same_versions({"a": {"python": "3.11.7", "torch": "2"}, "b": {"python": "3.11.9", "torch": "2"}})
    with pytest.raises(Incomparable, match="torch is 2 for a, 3 for b"):
        same_versions({"a": {"torch": "2"}, "b": {"torch": "3"}})


def test_the_config_of_started_sides() -> None:
    names = copies("digits", 3)
    assert names == ["digits", "digits-2", "digits-3"]
    config = configured(Path("configs/bench.yaml"), ["digits"], {"digits": names}, {"digits-2": "2"})
    (application,) = config["applications"]
    models = application["deployments"][0]["user_config"]["models"]
    assert [model["name"] for model in models] == names
    assert [model.get("versions") for model in models] == [None, ["2"], None]
    case = spread(CASES["digits/http"], 3)
    assert set(case.models) == set(names)
    assert len(case.requests) == 30


def test_payloads_must_be_requests(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"instances": [1]}')
    with pytest.raises(ValueError, match=r"is no V2 request: .*inputs"):
        payload(f"m={file}")


def test_cases_of_ones_own() -> None:
    """The documented example: requests in files and written out, as their transport sends them."""
    file = Path("docs/comparison/cases.yaml")
    options = options_of(parser("").parse_args(["--cases", f"digits/http,{file}"]))
    digits, over_http, over_grpc = options.cases
    assert (digits, over_http.name, over_grpc.name) == (
        CASES["digits/http"],
        "identity/http",
        "identity/grpc",
    )
    assert over_http.requests[0].body == (file.parent / "request.json").read_bytes()
    assert [len(case.requests) for case in options.cases[1:]] == [1, 2]
    assert over_grpc.grpc
    message = ModelInferRequest.FromString(over_grpc.requests[1].body)
    assert (message.model_name, message.inputs[0].name) == ("identity", "x")
    assert np.frombuffer(message.raw_input_contents[0], np.float32).tolist() == [1, 2, 3]
    assert options.slo("identity/http") == Slo(0.99, 0.02)
    assert options.slo("identity/grpc") == Slo(0.99, 0.05)


def test_binary_tensors_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    tensor = "{name: a, datatype: INT64, shape: [2], data: [1, 2]}"
    file.write_text(f"- {{model: m, transport: binary, requests: [inputs: [{tensor}]]}}")
    ((case,), _) = read(file)
    assert case.title == "m over HTTP, binary tensors"
    (request,) = case.requests
    assert request.headers["Inference-Header-Content-Length"] == str(request.json_length)
    assert np.frombuffer(request.body[request.json_length :], np.int64).tolist() == [1, 2]
    assert title("m/http x 4") == "m over HTTP"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model: m", "expected a list of cases"),
        ("[", "is no YAML"),
        ("- m", "case 1: expected model, transport, requests, slo, got 'm'"),
        ("- {modle: m}", "case 1: no key 'modle', did you mean 'model'?"),
        ("- {model: 3}", "model must be a model's name, got 3"),
        ("- {model: m, transport: rest}", "transport must be one of http, binary, grpc, got 'rest'"),
        ("- {model: m}", "requests must be a file, or a list of files and requests"),
        ("- {model: m, requests: []}", "requests must be a file, or a list of files and requests"),
        ("- {model: m, requests: missing.json}", "missing.json"),
        ("- {model: m, requests: [{inputs: 3}]}", "case 1 is no V2 request: inputs"),
        ("- {model: m, requests: r.json, slo: 3}", "an SLO is p99=50ms"),
        ("- &a {model: m, requests: r.json}\n- *a", "case 2: there is a m/http already"),
    ],
)  # fmt: skip
def test_wrong_cases_say_what_is_meant(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(Path("docs/comparison/request.json").read_bytes())
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises((ValueError, OSError)) as caught:
        read(file)
    assert problem in str(caught.value)


def test_time_left_is_easy_to_read() -> None:
    assert [minutes(seconds) for seconds in (7, 187, 3750)] == ["0:07", "3:07", "1:02:30"]


def test_an_interrupt_that_got_lost_ends_the_next_step() -> None:
    steps = Steps(10)
    steps.begin("one")
    steps.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        steps.begin("two")
