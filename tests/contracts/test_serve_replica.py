"""What Serve's replica has where the fast paths count, limit and look."""

import inspect

from ray.serve._private.common import RequestMetadata, RequestProtocol
from ray.serve._private.replica import ReplicaMetricsManager

from tests.contracts.inside import MODEL
from tests.contracts.live import MOST


def test_the_application_under_a_middleware_is_a_method_of_the_replica(live):
    assert live("replica", "kind") == "ray.serve._private.replica.Replica"
    assert live("model", "replica", "kind") == "ray.serve._private.replica.Replica"


def test_servers_run_in_the_event_loop_of_the_user_code(live):
    assert live("replica", "loop") is True
    assert live("model", "replica", "loop") is True


def test_the_deployment_s_object_is_found_from_the_middleware(live):
    """`_user_callable_wrapper.user_callable`; Serve makes a class of its own below the user's."""
    assert "Ingress" in live("replica", "deployment")
    assert "Model" in live("model", "replica", "deployment")
    assert live("replica", "user_loop") is True
    assert live("model", "replica", "user_loop") is True


def test_a_process_finds_its_replica_without_a_middleware(live):
    assert live("replica", "here") == live("replica", "name")
    assert live("model", "replica", "here") == live("model", "replica", "name")


def test_what_the_fast_paths_count_and_limit_by_is_there(live):
    assert live("model", "replica", "slots") is False
    assert live("replica", "counter") is False
    assert live("replica", "open") is None
    assert "RuntimeError" in live("model", "replica", "open")  # it has no route


def test_route_prefix(live):
    assert live("replica", "route_prefix") == "/"
    assert live("model", "replica", "route_prefix") is None


def test_deployment_id_app_name(live):
    assert live("replica", "app") == "tandem"
    assert live("model", "replica", "app") == MODEL


def test_max_ongoing_requests(live):
    assert live("replica", "max_ongoing_requests") == MOST


def test_semaphore_is_taken_at_once_while_it_is_not_locked(live):
    assert live("model", "replica", "semaphore") == [False, True, False]


def test_metrics_manager_counts_what_is_in_flight(live):
    assert live("replica", "counts") == [0, 1, 0]
    assert live("model", "replica", "counts") == [0, 1, 0]


def test_metrics_manager_request_counter_takes_a_route(live):
    assert live("replica", "request_counter") is None


def test_metrics_manager_ingress_metrics_are_by_protocol(live):
    assert live("replica", "ingress") == ["HTTP"]  # and GRPC, once a gRPC server was started


def test_tracing_is_off_unless_somebody_asks_for_it(live):
    assert live("replica", "tracing") is False


def test_request_metadata_takes_what_we_give():
    inspect.signature(RequestMetadata).bind("", "", is_direct_ingress=True)
    about = RequestMetadata("", "", is_direct_ingress=False)
    assert about.is_direct_ingress is False
    about._request_protocol = RequestProtocol.GRPC


def test_request_protocols():
    assert {one.name for one in RequestProtocol} >= {"HTTP", "GRPC"}


def test_metrics_manager_methods_take_the_metadata():
    for method in (
        ReplicaMetricsManager.inc_num_ongoing_requests,
        ReplicaMetricsManager.dec_num_ongoing_requests,
    ):
        inspect.signature(method).bind(object(), RequestMetadata("", ""))
