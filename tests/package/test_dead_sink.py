"""What the comparison of payload loggers reads from Ray's page."""

from loadtests.dead_sink.__main__ import counted

_PAGE = """# TYPE ray_payload_events_sent_total counter
ray_payload_events_sent_total{deployment="Router",logger="files"} 41.0
ray_payload_events_dropped_total{logger="dead",reason="full"} 1.145902e+06
ray_payload_events_dropped_total{logger="dead",reason="refused"} 8.0
ray_payload_events_waiting{logger="dead"} 1000.0
ray_payload_events_waiting{logger="files"} 0.0
ray_request_count_total{model_name="ray_payload_events_sent"} 7.0
"""


def test_events_are_summed_by_what_became_of_them() -> None:
    assert counted(_PAGE) == {"sent": 41, "dropped": 1_145_910, "waiting": 1000}


def test_a_page_without_any_has_none() -> None:
    assert counted("").total() == 0
