"""The benchmark's points, and the servers that serve what they ask for."""

import pytest

from loadtests import hosted
from loadtests.bench import report
from loadtests.bench.points import BARE, CASES, chosen
from loadtests.bench.report import TARGETS
from loadtests.bench.servers import CONFIG, SERVERS, with_models
from loadtests.bench.session import alone
from loadtests.requests import digits
from serve_app.protocol import grpc_codec, rest_codec


def test_every_case_builds_and_keys_are_unique() -> None:
    for case in CASES:
        assert any(point.case == case for point in chosen(case))
    keys = [point.key for point in chosen("all")]
    assert len(keys) == len(set(keys))
    assert set(TARGETS) <= {point.key for point in chosen("table")}
    assert {p.key for p in chosen("table,curves")} == set(keys)
    with pytest.raises(SystemExit, match="no case nothing; there are echo-http"):
        chosen("echo-http,nothing")


def test_every_request_is_valid_v2() -> None:
    for request in dict.fromkeys(request for point in chosen("all") for request in point.requests):
        if request.grpc:
            decoded, _ = grpc_codec.decode_request(request.body)
        else:
            decoded = rest_codec.decode_request(request.body, request.json_length, request.model, "")
        assert decoded.model == request.model
        assert len(decoded.inputs) == 1


def test_points_fit_their_generators() -> None:
    points = {point.key: point for point in chosen("all")}
    for at, point in enumerate(points.values()):
        assert len({request.grpc for request in point.requests}) == 1
        assert len(point.requests) == 1 or not point.grpc  # h2load sends one message
        assert bool(point.load) == bool(point.capacity)
        if point.capacity:
            assert list(points).index(point.capacity) < at
            assert points[point.capacity].requests == point.requests
    assert all(request.body.count(b"pixels") == 1 for request in digits(3))


@pytest.mark.parametrize(
    ("models", "count", "served"),
    [
        (["identity"], 1, ["identity"]),
        (["digits", "sentences"], 1, ["digits", "sentences"]),
        (["identity-remote"], 1, ["identity-remote"]),
        (["identity", "identity-1", "identity-2"], 3, ["identity", "identity-1", "identity-2"]),
        (["digits", "identity", "identity-remote", "sentences"], 1,
         ["identity", "digits", "sentences", "identity-remote"]),
    ],
)  # fmt: skip
def test_servers_serve_what_is_measured(models: list[str], count: int, served: list[str]) -> None:
    config = with_models(models, count)
    assert config["applications"][0]["name"] == "tandem"
    assert [model.name for model in hosted.configs(config)] == served


def test_every_model_of_the_cases_is_there() -> None:
    for models, copies in {(frozenset(point.models), point.copies) for point in chosen("all")}:
        config = with_models(sorted(models), copies)
        assert {model.name for model in hosted.configs(config)} == models


def test_servers_and_their_config() -> None:
    assert CONFIG.exists()
    assert report.US in SERVERS
    assert BARE in SERVERS


def test_a_model_alone_gives_its_rate_by_batch_size_and_with_callers() -> None:
    rates = alone("digits", 0.1)
    assert set(rates) == {"1", "8", "16", "32", "64", "32 callers"}
    assert all(rate > 0 for rate in rates.values())
