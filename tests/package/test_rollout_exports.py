"""A rollout as KServe's, Argo Rollouts' and Flagger's objects: by their CRDs, and what they say."""

from typing import Any

import pytest

from serve_app.config import Rollout, parse
from serve_app.releases.rollout.exports import Export, argo, flagger, kserve
from serve_app.tools.check.crds import Crds
from tests.package.crd import crd_folder, problems

PROMETHEUS = "http://prometheus.monitoring:9090"
SAID: dict[str, Any] = {
    "version": "2",
    "baseline": "1",
    "steps": [{"weight": 0.5, "requests": 1000}, {"weight": 10, "duration": "5m"},
              {"weight": 50, "duration": 300, "pause": True}],
    "metrics": [
        {"kind": "errorRate", "margin": 0.01},
        {"kind": "latency", "quantile": "p95", "relativeMargin": 0.2},
        {"kind": "disagreement", "margin": 0.005},
        {"kind": "expression", "name": "queue", "relativeMargin": 0.1, "interval": 120,
         "expression": "request_queue_seconds_sum / request_queue_seconds_count"},
        {"kind": "prometheus", "name": "tokens", "worse": "lower", "margin": 5, "dryRun": True,
         "address": "http://other:9090", "query": 'rate(tokens{v="{{ version }}",m="{{model}}"}[1m])'},
    ],
}  # fmt: skip
PREDICTORS = {
    number: {"model": {"modelFormat": {"name": "onnx"}, "storageUri": f"s3://models/iris/{number}"}}
    for number in ("1", "2")
}


def exported(kind: str, **changed: Any) -> Export:
    config = parse(Rollout, {**SAID, **changed})
    if kind == "kserve":
        return kserve("Iris.v1", config, "1", PREDICTORS)
    return {"argo": argo, "flagger": flagger}[kind]("Iris.v1", config, "1", PROMETHEUS)


def named(export: Export, kind: str) -> Any:
    return next(one["spec"] for one in export.objects if one["kind"] == kind)


@pytest.mark.parametrize("kind", ["kserve", "argo", "flagger"])
@pytest.mark.parametrize("changed", [{}, {"dryRun": True}, {"steps": [{"weight": 5, "pause": True}]}])
def test_they_are_valid_by_their_crds(kind: str, changed: dict[str, Any]) -> None:
    crds = Crds(crd_folder())
    for one in exported(kind, **changed).objects:
        group = one["apiVersion"].partition("/")[0]
        if crds.find(group, one["kind"]) is None:
            pytest.skip(f"no CRD of {one['kind']} ({group}) in {crd_folder()}")
        assert problems(one) == []


def test_kserve_has_an_object_for_each_step_and_one_when_it_is_promoted() -> None:
    made = exported("kserve")
    shares = [one["spec"]["canary"][0]["trafficPercent"] for one in made.objects[:-1]]
    assert shares == [1, 10, 50]
    first = made.objects[0]["spec"]
    assert first["predictor"] == PREDICTORS["1"]
    assert first["canary"][0]["predictor"] == {
        "name": "v2",
        "model": {"name": "kserve-container", **PREDICTORS["2"]["model"]},
    }
    assert made.objects[-1]["spec"] == {"predictor": PREDICTORS["2"]}
    assert "steps[0].weight: 0.5 % is 1 % there" in made.notes


def test_argo() -> None:
    made = exported("argo")
    canary = named(made, "Rollout")["strategy"]["canary"]
    assert canary["steps"] == [
        {"setWeight": 1}, {"pause": {}}, {"setWeight": 10}, {"pause": {"duration": "300s"}},
        {"setWeight": 50}, {"pause": {"duration": "300s"}}, {"pause": {}},
    ]  # fmt: skip
    template = named(made, "AnalysisTemplate")
    assert [one["name"] for one in template["metrics"]] == [
        "errorRate", "latency-p95", "queue", "tokens",
    ]  # fmt: skip
    assert template["dryRun"] == [{"metricName": "tokens"}]
    errors, latency, queue, tokens = template["metrics"]
    assert errors["successCondition"].endswith("result[0] < 0.01")
    assert latency["successCondition"].endswith("result[0] < 0.2")
    assert queue["interval"] == "120s"
    query = tokens["provider"]["prometheus"]
    assert query["address"] == "http://other:9090"
    # Fewer of them are worse: the other version's less the new one's.
    assert query["query"] == (
        '(rate(tokens{v="1",m="Iris.v1"}[1m])) - (rate(tokens{v="2",m="Iris.v1"}[1m]))'
    )
    assert any("disagreement: no other system compares answers" in note for note in made.notes)
    assert any("alpha 0.05 and beta 0.05 have no counterpart" in note for note in made.notes)


def test_flagger() -> None:
    made = exported("flagger")
    canary = named(made, "Canary")
    assert canary["analysis"]["stepWeights"] == [1, 10, 50]
    assert canary["analysis"]["interval"] == "300s"
    templates = {one["metadata"]["name"] for one in made.objects if one["kind"] == "MetricTemplate"}
    assert templates == {one["templateRef"]["name"] for one in canary["analysis"]["metrics"]}
    assert [one["thresholdRange"] for one in canary["analysis"]["metrics"]] == [
        {"max": 0.01}, {"max": 0.2}, {"max": 0.1},
    ]  # fmt: skip
    assert any("tokens: Flagger has no dry run" in note for note in made.notes)


def test_queries_ask_for_what_tandem_exports() -> None:
    errors, latency, queue, _ = named(exported("argo"), "AnalysisTemplate")["metrics"]
    text = errors["provider"]["prometheus"]["query"]
    assert text.count("ray_request_errors_total") == text.count("ray_request_count_total") == 2
    assert 'model_name="Iris.v1",model_version="2"' in text
    assert (
        "histogram_quantile(0.95, sum by (le) (rate(ray_request_predict_seconds_bucket{"
        in (latency["provider"]["prometheus"]["query"])
    )
    assert "sum(increase(ray_request_queue_seconds_sum{" in queue["provider"]["prometheus"]["query"]


def test_an_expression_that_promql_has_not() -> None:
    for expression, why in (
        ("differed / compared", "no other system compares answers"),
        ("max(request_errors, 1) / request_count", "PromQL has no max() of two values"),
    ):
        metrics = [SAID["metrics"][0],
                   {"kind": "expression", "margin": 1, "expression": expression}]  # fmt: skip
        made = exported("argo", metrics=metrics)
        assert any(f"expression: {why}" in note for note in made.notes)
