"""What may stand in `routing.NAME.traffic`, and what is said of the rest."""

import pytest

from serve_app.config import RouterUserConfig, Traffic, parse
from serve_app.errors import ConfigError


def refused(**said) -> str:
    with pytest.raises(ConfigError) as error:
        parse(Traffic, said, "traffic")
    return str(error.value)


def test_what_is_right():
    found = parse(
        Traffic,
        {
            "weights": {1: 98.5, "2": 1.5, "3": 0},
            "match": [{"header": "x-tester", "value": "yes", "version": 3}],
            "sticky": {"header": "x-user"},
        },
    )
    assert found.weights == {"1": 98.5, "2": 1.5, "3": 0}
    assert found.match[0].version == "3"
    assert [one.header for one in found.sticky] == ["x-user"]
    assert set(found.versions.values()) == {"1", "2", "3"}
    parse(Traffic, {"weights": {"1": 33.3, "2": 33.3, "3": 33.4}})
    parse(Traffic, {"match": [{"principal": "ann", "version": "2"}]})


@pytest.mark.parametrize(
    ("said", "place", "text"),
    [
        ({}, "traffic", "expected weights, or match"),
        ({"weights": {"1": 90, "2": 5}}, "traffic.weights", "have to make 100 together, they make 95"),
        ({"weights": {"1": 110, "2": -10}}, "traffic.weights.1", "0 to 100, got 110"),
        ({"weights": {"1": float("nan"), "2": 50}}, "traffic.weights.1", "0 to 100, got nan"),
        ({"weights": {"1": "many"}}, "traffic.weights.1", "valid number"),
        ({"weights": {"v1": 100}}, "traffic.weights.v1", "a version is a positive integer, got 'v1'"),
        ({"weights": {"1": 50, 1: 50}}, "traffic.weights", "version 1 is there twice"),
        ({"weights": [90, 10]}, "traffic.weights", "expected versions and percents"),
        ({"wieghts": {"1": 100}}, "traffic.wieghts", "did you mean weights?"),
        ({"weights": {"1": 100}, "sticky": {}}, "traffic.sticky[0]", "one of header, parameter, input"),
        (
            {"weights": {"1": 100}, "sticky": {"header": "a b"}},
            "traffic.sticky[0].header",
            "not the name",
        ),
        ({"weights": {"1": 100}, "sticky": {"cookie": "a"}}, "traffic.sticky[0].cookie", "unknown key"),
        (
            {"weights": {"1": 100}, "sticky": {"header": "a", "input": "b"}},
            "traffic.sticky[0]",
            "got header and input",
        ),
        ({"match": [{"version": "1"}]}, "traffic.match[0]", "one of header, parameter and principal"),
        ({"match": [{"header": "a"}]}, "traffic.match[0].version", "required"),
        ({"match": [{"header": "a", "version": "0"}]}, "traffic.match[0].version", "positive integer"),
        (
            {"match": [{"principal": "a", "value": "b", "version": "1"}]},
            "traffic.match[0].value",
            "nothing else to compare",
        ),
        ({"match": [{"header": "a", "value": [], "version": "1"}]}, "match[0].value", "matches nothing"),
        (
            {"match": [{"header": "a", "version": "1"}], "sticky": {"header": "u"}},
            "traffic.sticky",
            "there are no weights",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(said, place, text):
    found = refused(**said)
    assert place in found
    assert text in found


def test_one_of_two_ways_to_say_it():
    said = {"routing": {"m": {"defaultVersion": "1", "traffic": {"weights": {"1": 100}}}}}
    with pytest.raises(ConfigError, match=r"routing\.m\.defaultVersion: traffic says which version"):
        parse(RouterUserConfig, said, "user_config")
