"""A component's pod: what goes into the template of a RayService's workers."""

from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Pods

CARRIED = (
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy",
    "enableServiceLinks", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers",
    "imagePullSecrets", "initContainers", "nodeName", "nodeSelector", "os", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "resourceClaims", "resources",
    "runtimeClassName", "schedulerName", "schedulingGates", "securityContext", "serviceAccountName",
    "shareProcessNamespace", "terminationGracePeriodSeconds", "tolerations",
    "topologySpreadConstraints", "volumes",
)  # fmt: skip
_NAMED = "KubeRay names its pods"
_NOTED = {
    "hostname": _NAMED,
    "hostnameOverride": _NAMED,
    "subdomain": _NAMED,
    "setHostnameAsFQDN": _NAMED,
    "readinessGates": "a pod of Ray's is ready when its Ray is",
    "restartPolicy": "KubeRay replaces its pods",
    "ephemeralContainers": "they are `kubectl debug`'s",
}
_LEFT_OUT = {
    "autoScaling": (
        "HPA and KEDA can't scale replicas of Ray Serve", "it scales them itself, by batches in flight",
        "minReplicas, maxReplicas and scaleTarget, with scaleMetric: concurrency",
    ),
    "scaleMetricType": ("not read", "a scaleTarget is always a number of batches in flight", ""),
    "storageContainerName": (
        "Tandem fetches models itself", "no ClusterStorageContainer is asked", "storageUri, as s3://…",
    ),
    "deploymentStrategy": (
        "not read", "Serve starts new replicas before old ones end, a quarter of them at a time", "",
    ),
}  # fmt: skip


def read(part: Field, pods: Pods) -> None:
    """Everything of a component but its containers, its model and its scaling."""
    for name in CARRIED:
        if part.at(name):
            pods.spec[name] = part.at(name).carry()
    older = part.at("serviceAccount")
    if older and not pods.spec.get("serviceAccountName"):
        pods.spec["serviceAccountName"] = older.carry()
    older.note("the old name of serviceAccountName", fix="serviceAccountName")
    for name, why in _NOTED.items():
        part.at(name).note(f"`{name}` isn't carried", why)
    for name, (what, why, fix) in _LEFT_OUT.items():
        part.at(name).warn(what, why, fix)
    pods.labels.update(part.at("labels").take(dict) or {})
    pods.annotations.update(part.at("annotations").take(dict) or {})
