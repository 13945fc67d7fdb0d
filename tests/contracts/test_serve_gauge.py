"""Serve's gauge, set without its front door."""

import ray
from ray.serve import metrics
from ray.util.metrics import Metric


def test_a_gauge_is_shown_for_as_long_as_ray_says(live):
    assert live("gauge", "shown_for") == 10.0
    assert ray._config.metrics_report_interval_ms() == 10_000


def test_the_second_value_goes_to_the_metric_with_the_final_tags(live):
    ((value, tags),) = live("gauge", "twice")
    assert value == 2.0
    assert {"a": "x", "b": "y", "application": "tandem", "deployment": "Ingress"}.items() <= tags.items()
    assert set(tags) == {"a", "b", "application", "deployment", "replica"}


def test_names_of_a_gauge():
    assert issubclass(metrics.Gauge, Metric)
    assert callable(metrics.Gauge._get_final_tags)
