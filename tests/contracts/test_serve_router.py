"""What stands behind a Serve handle: the router, and the replicas that it follows."""

import inspect

from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter, RunningReplica
from ray.serve._private.router import RouterMetricsManager

from tests.contracts.inside import MODEL
from tests.contracts.live import MOST


def test_handle_router_asyncio_router(live):
    assert live("router", "way") == "there"


def test_the_replicas_are_found_behind_the_handle(live):
    assert live("router", "ours") is True


def test_the_router_runs_in_the_event_loop_of_its_caller(live):
    assert live("router", "loop") is True


def test_request_router_is_the_usual_one(live):
    """By name: Serve sends the class pickled, which makes another one of it."""
    assert live("router", "kind") == PowerOfTwoChoicesRequestRouter.__qualname__


def test_curr_replicas_is_the_same_object_while_nothing_changes(live):
    assert live("router", "again") is True
    assert live("router", "keyed") is True


def test_backend_http_endpoint_answers_also_without_a_route(live):
    answer = live("router", "answer")
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith('{"is": "there"}')


def test_running_replica_says_what_it_may_have_in_hand(live):
    assert live("router", "most") == MOST


def test_a_replica_is_known_by_the_name_that_its_own_process_has(live):
    assert live("router", "name") == live("model", "replica", "name")
    assert f"{MODEL}#Model#" in live("router", "name")


def test_running_replica_says_which_adapters_it_has(live):
    assert live("router", "adapters") == []


def test_metrics_manager_counts_what_is_sent_to_a_replica(live):
    assert live("router", "more") == 1
    assert live("router", "less") == 0


def test_metrics_manager_counts_requests_without_a_route(live):
    assert live("router", "total") is None


def test_names_of_a_running_replica():
    names = {"replica_id", "backend_http_endpoint", "max_ongoing_requests", "multiplexed_model_ids"}
    assert names <= set(dir(RunningReplica))


def test_metrics_manager_methods_take_a_replica():
    for method in (
        RouterMetricsManager.inc_num_running_requests_for_replica,
        RouterMetricsManager.dec_num_running_requests_for_replica,
        RouterMetricsManager.inc_num_total_requests,
    ):
        inspect.signature(method).bind(object(), "")
