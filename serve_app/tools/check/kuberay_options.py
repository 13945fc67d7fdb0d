"""What the operator refuses in a cluster's options (KubeRay 1.7: ValidateRayClusterSpec): where the
head keeps its state, who may call, the network, the history server. Some need a feature gate."""

from collections.abc import Iterable

from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Parts, Resource, Rule, Table, When
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.ray_cluster import FAULT_TOLERANCE

_COLLECTOR = "ray-history-collector"
_K8S = "authOptions enableK8sTokenAuth"
_TLS_ENV = ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
_STORE_ENV = ("RAY_gcs_storage", "RAY_gcs_storage_path")
_COLLECTORS_ENV = (
    "POD_IP", "FQ_RAY_IP", "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE", "RAY_ROLE", "OWNER_KIND",
    "OWNER_NAME", "EVENTS_PORT",
)  # fmt: skip
_OF_REDIS = ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace")


def gate(at: str, when: When, name: str) -> Rule:
    """A warning: a file doesn't know which gates an operator has open."""
    return Rule(
        at,
        when,
        f"it needs the operator's feature gate {name}, which is off by default",
        f"helm: featureGates: [{{name: {name}, enabled: true}}]",
        "without it the operator refuses the resource",
        "warning",
    )


def _rocksdb(ray: Resource) -> bool:
    return ray.cluster.text(FAULT_TOLERANCE, "backend") == "rocksdb"


def _tls(ray: Resource) -> bool:
    return ray.cluster.get("tlsOptions", "enabled") is True


def _k8s(ray: Resource) -> bool:
    return ray.cluster.get("authOptions", "enableK8sTokenAuth") is True


def _open_to_all(part: Looks, ray: Resource) -> bool:
    """Neither by the option nor by hand, where Ray can."""
    by_hand = ray.cluster.head.env.get("RAY_AUTH_MODE") if ray.cluster.data else None
    return not (ray.cluster.token or by_hand or ray.older(2, 52))


def _entries(key: str, *who: str) -> Parts:
    """Entries of a list of Ray's container in the head or in all groups, or of the autoscaler's."""

    def parts(ray: Resource) -> Iterable[Looks]:
        boxes: list[Looks] = [one.first for one in ray.cluster.groups if one.head or "workers" in who]
        boxes += [ray.cluster.at("autoscalerOptions")] if "autoscaler" in who else []
        return [one for box in boxes for one in box.parts(key)]

    return parts


def _policies(ray: Resource) -> Iterable[Looks]:
    policy = ray.cluster.at("networkPolicy")
    return [policy.at("head"), policy.at("worker"), *policy.parts("workerGroups")]


def _open(key: str, mode: str, what: str) -> Rule:
    """Rules for a direction that nothing restricts."""
    return the.unwanted(key, f"mode {mode} lets {what} anyway",
                        when=lambda _, r: r.cluster.text("networkPolicy", "mode") == mode)  # fmt: skip


def _missing(options: Looks, ray: Resource) -> str:
    """Variables without which the collector doesn't find its storage."""
    env = {one.text("name"): one for one in options.parts("env")}
    said = {name: one.text("value") for name, one in env.items()}
    there = {name for name, one in env.items() if said[name] or one.get("valueFrom") is not None}
    account, connection = "AZURE_STORAGE_ACCOUNT_URL", "AZURE_STORAGE_CONNECTION_STRING"
    azure = {"connection_string": connection, "workload_identity": account, "default": account}
    either = account if account in there else connection
    mode = said.get("AZURE_STORAGE_AUTH_MODE", "").strip().lower()
    needed = {
        "GCS": ["GCS_BUCKET"], "S3": ["S3_REGION"], "AZUREBLOB": [azure.get(mode, either)],
        "ALIYUNOSS": ["OSS_BUCKET", "OSS_ENDPOINT", "OSS_REGION"],
    }.get(said.get("STORAGE_BACKEND", "").upper(), [])  # fmt: skip
    if not said.get("STORAGE_BACKEND"):
        return "STORAGE_BACKEND"
    return ", ".join(name for name in needed if name not in there)


_CLUSTER = (
    gate("networkPolicy", the.is_set("networkPolicy"), "RayClusterNetworkPolicy"),
    gate("tlsOptions", the.is_set("tlsOptions"), "RayClusterMTLS"),
    gate("historyServerOptions", the.is_set("historyServerOptions"), "RayClusterHistoryServer"),
    gate(f"{FAULT_TOLERANCE} backend", lambda _, r: _rocksdb(r), "GCSFaultToleranceEmbeddedStorage"),
    Rule("authOptions mode", _open_to_all, "no token is asked for", "authOptions: {mode: token}",
         "whoever reaches the dashboard (8265), the GCS or the client port can run code as this cluster",
         "warning"),
    Rule("authOptions mode", lambda c, r: c.token and r.older(2, 52),
         "tokens need a rayVersion of 2.52.0 or newer"),
    Rule(_K8S, lambda c, r: _k8s(r) and c.token and r.older(2, 55),
         "Kubernetes' tokens need a rayVersion of 2.55.0 or newer"),
    Rule(_K8S, lambda c, r: _k8s(r) and not c.token, "Kubernetes' tokens without `mode: token`",
         "mode: token"),
    Rule(_K8S, lambda c, r: _k8s(r) and r.kind != "RayCluster" and r.kind,
         "a {} can't use Kubernetes' tokens"),
    the.unwanted("authOptions secretName", "a secret beside Kubernetes' tokens",
             when=lambda c, r: _k8s(r) and c.token),
    Rule("historyServerOptions",
         lambda c, _: c.get("historyServerOptions") is not None
         and c.get("historyServerOptions", "collectorOptions") is None, "no collectorOptions"),
)  # fmt: skip
_STORAGE = (
    the.unwanted("storage", "only backend rocksdb has a storage", when=lambda _, r: not _rocksdb(r)),
    Rule("redisPassword value", lambda s, _: bool(s.text("redisPassword", "value")),
         "a password in plain text", "redisPassword: {valueFrom: {secretKeyRef: {name: …, key: …}}}",
         "whoever reads the manifest has it", "warning"),
)  # fmt: skip
_EMBEDDED = (
    *(the.unwanted(key, f"backend rocksdb has no {key}") for key in _OF_REDIS),
    *(the.unwanted(f"storage {key}", f"{key} beside the claimName of a volume that is there",
                   when=lambda s, _: s.text("storage", "claimName"))
      for key in ("size", "storageClassName", "accessModes")),
)  # fmt: skip
_NOTES = tuple(
    the.unwanted(f"metadata annotations {note}", f"beside {FAULT_TOLERANCE} it {what}",
                 when=lambda _, r: r.cluster.fault_tolerance is not None and r.kind != "RayCronJob")
    for note, what in (
        ("ray.io/ft-enabled", "says the same in the old way"),
        ("ray.io/external-storage-namespace", "belongs into externalStorageNamespace"),
    )
)  # fmt: skip
_STORE = the.reserved(": the operator's volume", name=("gcs-storage",), mountPath=("/data/gcs",))
_CERTIFICATES = the.reserved(": the operator's volume", name=("ray-tls",), mountPath=("/etc/ray/tls",))
_POLICY = (
    _open("ingressRules", "DenyAllEgress", "all in"),
    _open("egressRules", "DenyAllIngress", "all out"),
    Rule(
        "groupName",
        lambda p, r: p.get("groupName") not in [None, *(one.name for one in r.cluster.workers)],
        "no group '{}' in workerGroupSpecs",
    ),
)
_NAME = the.like("groupName", "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
                 "'{}': beside networkPolicy a name has a-z, 0-9 and '-' alone")  # fmt: skip
_HISTORY = (
    Rule("image", lambda o, _: not o.text("image"), "the collector needs an image"),
    Rule("env", _missing, "{} is needed there, with a value"),
)
_COLLECT = the.below(the.clusters, "historyServerOptions collectorOptions")
_SPEC = the.refused("ValidateRayClusterSpec")
_BACKEND, _NETWORK = (
    the.refused("validateGcsFaultToleranceBackend"),
    the.refused("validateNetworkPolicy"),
)
_OF_TLS, _OF_HISTORY = the.refused("validateTLSOptions"), the.refused("validateCollectorOptions")
TABLE: Table = (
    (the.whole, _SPEC, _NOTES),
    (the.clusters, _SPEC, _CLUSTER),
    (the.below(the.clusters, FAULT_TOLERANCE), _BACKEND, _STORAGE),
    (the.where(the.below(the.clusters, FAULT_TOLERANCE), _rocksdb), _BACKEND, _EMBEDDED),
    (the.where(_entries("env"), _rocksdb), _BACKEND,
     (the.reserved(" beside backend rocksdb", name=_STORE_ENV),)),
    (the.where(_entries("volumeMounts"), _rocksdb), _BACKEND, (_STORE,)),
    (the.where(the.below(the.heads, "template spec volumes *"), _rocksdb), _BACKEND, (_STORE,)),
    (the.below(the.clusters, "autoscalerOptions env *"), _SPEC,
     (the.reserved(" is the operator's variable", name=("KUBERAY_GEN_AUTOSCALER_START_CMD",)),)),
    (the.where(_entries("env", "workers", "autoscaler"), _tls), _OF_TLS,
     (the.reserved(" beside tlsOptions", name=_TLS_ENV),)),
    (the.where(_entries("volumeMounts", "workers", "autoscaler"), _tls), _OF_TLS, (_CERTIFICATES,)),
    (_policies, _NETWORK, _POLICY),
    (the.where(the.workers, lambda r: r.cluster.get("networkPolicy") is not None), _NETWORK, (_NAME,)),
    (_COLLECT, _OF_HISTORY, _HISTORY),
    (the.below(_COLLECT, "env *"), _OF_HISTORY,
     (the.reserved(" is the operator's variable", name=_COLLECTORS_ENV),)),
    (the.where(the.below(the.groups, "template spec containers *"),
               lambda r: r.cluster.get("historyServerOptions") is not None), _OF_HISTORY,
     (the.reserved(" is the operator's container", name=(_COLLECTOR,)),)),
)  # fmt: skip
