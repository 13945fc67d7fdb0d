"""docs/deploy.md from installed to uninstalled: its commands, in order, on a real cluster's answers."""

import re

import pytest

from tests.package.crd import ROOT
from tests.package.recorded_cluster import STATES, Cluster

TEXT = (ROOT / "docs/deploy.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def commands(section: str, part: int | None = None) -> list[str]:
    """Those of a section, or of one of its blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", SECTIONS[section], re.DOTALL)
    return [
        line for block in (blocks if part is None else [blocks[part]]) for line in block.splitlines()
    ]


def ran(cluster: Cluster, lines: list[str]) -> list[str]:
    """What kubectl printed for each of its lines."""
    return [cluster.run(line) for line in lines if line.startswith("kubectl") or "=$(kubectl" in line]


def at(lines: list[str], beginning: str) -> int:
    (found,) = (number for number, line in enumerate(lines) if line.startswith(beginning))
    return found


def test_the_page_leads_from_nothing_to_nothing() -> None:
    wanted = [
        "A cluster, the operator, the image", "The service", "A request", "Changes", "For real",
        "Upgrading Tandem, Ray and KubeRay", "Going back", "A lost head", "Uninstalling",
    ]  # fmt: skip
    assert [name for name in SECTIONS if name in wanted] == wanted


def test_the_namespace_and_the_secret_come_first() -> None:
    lines = commands("For real")
    assert at(lines, "kubectl apply -f configs/k8s/base/namespace.yaml") < at(
        lines, "kubectl -n tandem create secret"
    )
    assert at(lines, "kubectl -n tandem create secret") < at(lines, "kubectl apply -k configs/k8s/base")
    assert not any("create namespace" in line for line in lines)  # `apply` warns of one of those


def test_what_is_waited_for_is_a_condition_that_there_is() -> None:
    for section in ("The service", "Changes", "Upgrading Tandem, Ray and KubeRay"):
        ran(Cluster("ready-base"), commands(section))


def test_crds_before_the_operator() -> None:
    lines = commands("Upgrading Tandem, Ray and KubeRay")
    assert at(lines, "kubectl replace -k") < at(lines, "helm upgrade")


def test_going_back_leaves_the_cluster_that_serves_alone() -> None:
    cluster = Cluster("upgrade-unschedulable", {"kubectl apply -k": "went-back-third-cluster"})
    printed = ran(cluster, commands("Going back", 0))
    assert printed[0] == "tandem-8tgk9 tandem-6wpf2"  # the one that serves, the one that hangs
    hung = cluster.variables["PENDING"]
    assert hung == "tandem-6wpf2"
    service = cluster.one("rayservice", "tandem")["status"]
    assert service["activeServiceStatus"]["rayClusterName"] == "tandem-8tgk9"
    assert service["pendingServiceStatus"]["rayClusterName"] not in (hung, "tandem-8tgk9")  # a third
    ran(cluster, commands("Going back", 1))


def test_where_there_is_no_room_nothing_is_pending_afterwards() -> None:
    cluster = Cluster("went-back-third-cluster")
    ran(cluster, commands("Going back", 2))
    (service,) = cluster.patched
    assert service["status"]["pendingServiceStatus"]["rayClusterName"] == ""
    assert service["status"]["activeServiceStatus"]["rayClusterName"] == "tandem-8tgk9"


def test_what_three_clusters_take_is_what_the_text_says() -> None:
    (cluster,) = (one for one in STATES["ready-base"] if one["kind"] == "RayCluster")
    cpu, memory = int(cluster["status"]["desiredCPU"]), int(cluster["status"]["desiredMemory"][:-2])
    assert f"{cpu} CPUs and {memory} GiB" in SECTIONS["Upgrading Tandem, Ray and KubeRay"]
    assert f"{3 * cpu} CPUs and {3 * memory} GiB" in SECTIONS["Going back"]


@pytest.mark.parametrize("state", ["head-killed-with-redis", "head-back-with-redis"])
def test_a_lost_head_is_seen_and_waited_for(state: str) -> None:
    cluster = Cluster(state)
    pods, _ = ran(cluster, commands("A lost head"))
    assert pods == "tandem-cq5hg-head-lbrtg"  # the selector finds it, and no worker
    (head,) = (one for one in cluster.all("raycluster"))
    (ready,) = (one["status"] for one in head["status"]["conditions"] if one["type"] == "HeadPodReady")
    assert ready == str(state == "head-back-with-redis")  # what is waited for becomes true
    (serves,) = (one for one in cluster.one("rayservice", "tandem")["status"]["conditions"][:1])
    assert (serves["type"], serves["status"]) == ("Ready", "True")  # all the while


def test_uninstalling_waits_for_the_clusters_before_redis_goes() -> None:
    lines = commands("Uninstalling", 0)
    cluster = Cluster("ready-base", {"kubectl -n tandem delete rayservice": "deleting"})
    service, loop, rest = (
        at(lines, beginning)
        for beginning in ("kubectl -n tandem delete rayservice tandem", "until ", "kubectl delete -k")
    )
    assert service < loop < rest
    (asked,) = re.findall(r"\$\((kubectl .*?)\)", lines[loop])
    assert cluster.run(asked) != ""  # it has something to wait for
    ran(cluster, lines[: service + 1])
    assert cluster.run(asked) == ""  # and an end
    assert "--ignore-not-found" in lines[rest]  # the RayService is gone


def test_a_namespace_that_stays_says_why_and_is_ended() -> None:
    cluster = Cluster("namespace-terminating-for-ever")
    said, finalizers, _ = ran(cluster, commands("Uninstalling", 1))
    assert "ray.io/gcs-ft-redis-cleanup-finalizer" in said
    assert "ray.io/gcs-ft-redis-cleanup-finalizer" in finalizers
    (patched,) = cluster.patched
    assert patched["kind"] == "RayCluster"
    assert "finalizers" not in patched["metadata"]


def test_the_recorded_cluster_can_say_no() -> None:
    for line, error in (
        ("kubectl -n tandem wait rayservice/tandem --for=condition=Raedy --timeout=1m", AssertionError),
        ("kubectl -n tandem delete raycluster tandem-cq5hg", AssertionError),
        ("kubectl -n tandem get rayservice tandme -o jsonpath='{.status}'", ValueError),
        ("kubectl -n tandem get rayservice tandem -o jsonpath='{.status.nothing}'", KeyError),
    ):
        with pytest.raises(error):
            Cluster("ready-base").run(line)
