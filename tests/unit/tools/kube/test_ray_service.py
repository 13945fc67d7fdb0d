"""A RayService's fields and its status, whole or not."""

from serve_app.tools.kube.pods import Pod
from serve_app.tools.kube.ray_service import RayService


def test_a_service_of_nothing() -> None:
    for data in ({}, {"spec": None, "status": None}):
        found = RayService(data)
        assert found.cluster is None
        assert (found.strategy, found.without_head, found.deletion_delay) == (None, False, None)
        assert (found.active.name, found.pending.applications, found.conditions) == ("", {}, [])


def test_what_the_operator_says() -> None:
    said = {"rayClusterName": "a-1", "applicationStatuses": {"tandem": {"status": "RUNNING"}}}
    found = RayService({"status": {"activeServiceStatus": said, "conditions": [{"type": "Ready"}]}})
    assert found.active.name == "a-1"
    assert found.active.applications["tandem"]["status"] == "RUNNING"
    assert found.conditions == [{"type": "Ready"}]


def test_a_pod_of_nothing_and_one_that_died() -> None:
    nothing = Pod({})
    assert (nothing.containers, nothing.ready, nothing.died, nothing.requests) == ([], None, False, {})
    state = {"lastState": {"terminated": {"exitCode": 1}}}
    conditions = [{"type": "Ready", "status": "False"}]
    died = Pod({"status": {"containerStatuses": [state], "conditions": conditions}})
    assert died.died
    assert died.ready is False
    starting = Pod({"status": {"initContainerStatuses": [state]}})
    assert len(starting.containers) == 1
    assert not starting.died
