"""What KServe's webhooks refuse of how a component scales (validateAutoScalingCompExtension)."""

from pathlib import Path

import pytest

from tests.unit.tools.check.manifests import ISVC, MODE, MODEL, found
from tests.unit.tools.check.test_kserve import SCALER, P, only

HPA, KEDA = f"{MODE}: Standard, {SCALER}: hpa", f"{MODE}: Standard, {SCALER}: keda"
KNATIVE = f"{MODE}: Knative"
NO_SHARE = "resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}"


def keda(kind: str, source: str) -> str:
    return f"autoScaling: {{metrics: [{{type: {kind}, {source}}}]}}"


METRIC = f"{P}.autoScaling.metrics[0]"


@pytest.mark.parametrize(
    ("notes", "more", "place", "says"),
    [
        # validateScalingHPACompExtension
        (HPA, "scaleTarget: 101", f"{P}.scaleTarget", "101 is no utilization: 1 to 100"),
        (HPA, "scaleTarget: 0", f"{P}.scaleTarget", "1 to 100"),
        (HPA, "scaleTarget: 100", "", ""),
        (HPA, "scaleMetric: rps", f"{P}.scaleMetric", "'rps' is none of cpu, memory"),
        (f"{MODE}: Standard", "scaleTarget: 101", "", ""),  # nobody named its scaler: not looked at
        # validateScalingKPACompExtension
        (KNATIVE, "scaleMetric: cpu", f"{P}.scaleMetric", "'cpu' is none of concurrency, rps"),
        (KNATIVE, "scaleMetric: rps\n    scaleTarget: 0", f"{P}.scaleTarget", "0 is not above 0"),
        (KNATIVE, "scaleMetric: concurrency", "", ""),
        (
            KNATIVE,
            "deploymentStrategy: {type: Recreate}",
            f"{P}.deploymentStrategy",
            "replaces pods in its own way",
        ),
        (
            f"{KNATIVE}, autoscaling.knative.dev/class: hpa.autoscaling.knative.dev",
            "scaleMetric: cpu",
            "",
            "",
        ),
        # validateScalingKedaCompExtension
        (KEDA, "scaleMetric: cpu", f"{P}.scaleMetric", "KEDA doesn't read it"),
        (KEDA, keda("Other", "a: b"), f"{METRIC}.type", "'Other' is none of Resource, External"),
        (KEDA, keda("External", "resource: {}"), METRIC, "'external' is needed for the type External"),
        (
            KEDA,
            keda("Resource", "resource: {name: disk, target: {type: Value, value: 1}}"),
            f"{METRIC}.resource.name",
            "'disk' is none of cpu, memory",
        ),
        (
            KEDA,
            keda("Resource", "resource: {name: cpu, target: {type: Value, value: 1}}"),
            f"{METRIC}.resource.target.type",
            "'Value' is none of Utilization",
        ),
        (
            KEDA,
            keda("Resource", "resource: {name: cpu, target: {type: Utilization}}"),
            f"{METRIC}.resource.target",
            "'averageUtilization' is needed",
        ),
        (
            KEDA,
            keda(
                "Resource", "resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}"
            ),
            f"{METRIC}.resource.target.averageUtilization",
            "0 is no utilization",
        ),
        (
            KEDA,
            keda("Resource", "resource: {name: memory, target: {type: AverageValue, averageValue: 1k}}"),
            f"{METRIC}.resource.target.averageValue",
            "1k is less than 1Mi",
        ),
        (
            KEDA,
            keda("External", "external: {metric: {backend: prometheus}, target: {value: 1}}"),
            f"{METRIC}.external.metric",
            "a query is needed",
        ),
        (
            KEDA,
            keda("PodMetric", "podmetric: {metric: {query: q}, target: {}}"),
            f"{METRIC}.podmetric.target",
            "a `value` is needed",
        ),
        (
            KEDA,
            keda("External", "external: {metric: {query: q}, target: {type: Value, value: 1}}"),
            "",
            "",
        ),
    ],
)
def test_scaling(tmp_path: Path, notes: str, more: str, place: str, says: str) -> None:
    only(tmp_path, ISVC.format(notes=notes, predictor=f"{MODEL}\n    {more}"), place, says)


def test_what_the_cluster_s_own_mode_may_refuse(tmp_path: Path) -> None:
    """Without a mode it takes Knative's rules, or Standard's, as the cluster is configured."""
    text = ISVC.format(notes="", predictor=f"{MODEL}\n    scaleMetric: cpu")
    (one,) = found(tmp_path, text)
    assert (one.place, one.severity) == (f"{P}.scaleMetric", "warning")
