"""`rollout`: what may be said, and how a mistake is answered."""

import math
from pathlib import Path

import pytest

from serve_app.config import Rollout, RouterUserConfig, parse
from serve_app.config.expressions import MEASURES, names, value
from serve_app.errors import ConfigError
from serve_app.observability import metrics

SAID = {
    "version": 2,
    "steps": [{"weight": 1, "requests": 1000}, {"weight": 10, "duration": "5m"}],
    "metrics": [{"kind": "errorRate", "margin": 0.01}],
}
QUERY = {
    "kind": "prometheus", "address": "http://prometheus:9090", "query": "errors{v='{{ version }}'}",
    "relativeMargin": 0.1,
}  # fmt: skip


def metric(**said):
    return {"metrics": [said]}


def test_a_rollout():
    read = parse(Rollout, SAID)
    assert (read.version, read.baseline, read.alpha, read.beta) == ("2", None, 0.05, 0.05)
    assert [(step.weight, step.requests, step.duration) for step in read.steps] == [
        (1, 1000, None), (10, None, 300),
    ]  # fmt: skip
    assert read.inconclusive.then == "rollback"


def test_it_stands_in_a_model_s_routing():
    read = parse(RouterUserConfig, {"routing": {"digits": {"rollout": SAID}}})
    assert read.routing["digits"].rollout == parse(Rollout, SAID)
    with pytest.raises(ConfigError, match=r"routing\.digits\.rollout\.stepz: unknown key; did you mean"):
        parse(RouterUserConfig, {"routing": {"digits": {"rollout": {**SAID, "stepz": []}}}})


def test_every_kind_of_metric_and_what_it_is_called():
    read = parse(Rollout, {**SAID, "metrics": [
        {"kind": "errorRate", "relativeMargin": 0.5},
        {"kind": "latency", "quantile": "p50", "margin": 0.01},
        {"kind": "latency", "relativeMargin": 0.2},
        {"kind": "disagreement", "margin": 0.005, "tolerated": 0.01},
        {"kind": "expression", "expression": "request_errors / max(request_count, 1)", "margin": 1},
        {**QUERY, "name": "tokens", "worse": "lower", "interval": "30s", "dryRun": True},
    ]})  # fmt: skip
    assert [one.called for one in read.metrics] == [
        "errorRate", "latency-p50", "latency-p99", "disagreement", "expression", "tokens",
    ]  # fmt: skip
    assert read.metrics[-1].interval == 30


@pytest.mark.parametrize(
    ("said", "seconds"), [(90, 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("1d", 86400)]
)
def test_durations(said, seconds):
    assert parse(Rollout, {**SAID, "maxDuration": said}).max_duration == seconds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": []}, "step: unknown key; did you mean steps?"),
        ({"steps": []}, "steps: "),
        (metric(kind="errorRate", margin=0.01, tail=False),
         "metrics[0].tail: belongs to latency, not to errorRate"),
        ({"metrics": []}, "metrics: "),
        ({"baseline": "2"}, "baseline: expected another version than 2, which is rolled out"),
        ({"alpha": 0}, "alpha: "), ({"beta": 0.5}, "beta: "),
        ({"maxDuration": "soon"}, "maxDuration: expected seconds, or text as 90s, 5m or 2h, got 'soon'"),
        ({"maxDuration": math.inf}, "maxDuration: "),
        ({"inconclusive": {"then": "promot"}}, "inconclusive.then: Input should be 'rollback' or "
         "'promote' (got 'promot'); did you mean promote?"),
        ({"steps": [{"weight": 5}]}, "steps[0]: a step ends by `duration`, `requests` or `pause: true`"),
        ({"steps": [{"weight": 100, "pause": True}]}, "steps[0].weight: Input should be less than 100"),
        ({"steps": [{"weight": 5, "requests": 1}, {"weight": 4, "requests": 1}]},
         "steps[1].weight: a rollout's shares only grow: got 4 after 5"),
        ({"steps": [{"weigth": 5, "requests": 1}]}, "weigth: unknown key; did you mean weight?"),
        (metric(kind="errorrate", margin=0.1), "metrics[0].kind: Input should be 'errorRate', "),
        (metric(kind="errorRate"), "metrics[0]: what counts as worse? expected margin or "
         "relativeMargin, got neither"),
        (metric(kind="errorRate", margin=0.1, relativeMargin=0.1), "got both"),
        (metric(kind="errorRate", margin=1), "metrics[0].margin: a share below 1, got 1"),
        (metric(kind="errorRate", margin=0), "metrics[0].margin: Input should be greater than 0"),
        (metric(kind="errorRate", margin=0.1, quantile="p50"),
         "metrics[0].quantile: belongs to latency, not to errorRate"),
        (metric(kind="latency", quantile="p98", margin=1), "metrics[0].quantile: Input should be 'p50'"),
        (metric(kind="latency", relativeMargin=0.01), "metrics[0].relativeMargin: times are counted "
         "2.2 % apart: expected at least 0.03, got 0.01"),
        (metric(kind="disagreement", relativeMargin=0.1), "expected margin, as in 0.005"),
        (metric(kind="expression", margin=1),
         "metrics[0].expression: required where kind is expression"),
        (metric(kind="expression", margin=1, expression="request_error / 2"),
         "metrics[0].expression: no metric 'request_error'; did you mean request_errors?"),
        (metric(**{**QUERY, "query": "up"}),
         "metrics[0].query: a query is asked for each of two versions: expected {{version}}"),
        (metric(**{**QUERY, "address": "prometheus:9090"}),
         "metrics[0].address: expected http://host:port"),
        ({"metrics": [SAID["metrics"][0]] * 2}, "metrics[1].name: two metrics are called 'errorRate'"),
        (metric(kind="errorRate", margin=0.1, dryRun=True), "metrics: all of them are dryRun"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(change, message):
    with pytest.raises(ConfigError) as error:
        parse(Rollout, {**SAID, **change})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("request_errors / request_count", 0.25), ("-compared + 3 * (2 - .5)", 4.5),
        ("max(request_errors, 7, differed)", 7), ("min(request_count)", 8),
        ("differed", 0), (" request_count\n - 1 ", 7),
    ],
)  # fmt: skip
def test_expressions(text, result):
    assert names(text) <= set(MEASURES)
    assert value(text, {"request_errors": 2, "request_count": 8}) == result


def test_what_can_t_be_computed_is_nan():
    assert math.isnan(value("compared / differed", {"compared": 1}))
    assert math.isnan(value("compared" + "* 1e300" * 3 + "/ (differed - differed)", {"compared": 1}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an expression"), ("1 + 2", "no metric in '1 . 2'"), ("request_count +", "not an expr"),
        ("request_count ** 9", r"'request_count \*\* 9' can't stand in an expression"),
        ("__import__('os')", "can't stand in an expression"), ("compared.real", "can't stand in an"),
        ("[compared]", "can't stand"), ("compared if 1 else 2", "can't stand"), ("True", "can't stand"),
        ("compared + 'a'", "can't stand"), ("sum(compared)", "can't stand"), ("max()", "can't stand"),
        ("min(compared, key=max)", "can't stand"),
        ("compared" * 200, "an expression of 1,600 characters"),
        ("-" * 999 + "1", "not an expression|no metric in"),
        ("(" * 400 + "1" + ")" * 400, "not an expression"),
    ],
)  # fmt: skip
def test_what_is_no_expression(text, message):
    with pytest.raises(ValueError, match=message):
        names(text)


def test_an_expression_s_names_are_those_of_the_metrics():
    exported = Path(metrics.__file__).read_text()
    for name in set(MEASURES) - {"compared", "differed"}:
        base = name.removesuffix("_sum").removesuffix("_count")
        assert f'"{base}"' in exported or f'"{name}"' in exported, name
