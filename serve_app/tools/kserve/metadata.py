"""An object's metadata, and the annotations by which KServe is told something."""

from serve_app.tools.kserve.ledger import Field

# Of the API server and of controllers.
_THEIRS = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation",
    "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_KSERVE, _KNATIVE = "serving.kserve.io/", "autoscaling.knative.dev/"
_SERVES = "Ray Serve runs the model, and scales it"
_NOTED = {
    f"{_KSERVE}deploymentMode": _SERVES,
    f"{_KSERVE}autoscalerClass": _SERVES,
    f"{_KSERVE}metrics": _SERVES,
    f"{_KSERVE}enable-metric-aggregation": "the metrics are on Ray's port 8080",
    f"{_KSERVE}enable-prometheus-scraping": "the metrics are on Ray's port 8080",
    f"{_KSERVE}enable-tag-routing": "a request names the version that it wants",
    f"{_KSERVE}disable-auto-update": "no ServingRuntime is read that could change",
    f"{_KSERVE}gke-accelerator": "a nodeSelector says which GPUs",
    f"{_KSERVE}nodegroup": "the node's cache holds what is fetched, on every node",
}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def read(meta: Field) -> None:
    """Labels and annotations go with the RayService; what none but KServe reads is said."""
    name = meta.at("name")
    if not name.take(str):
        meta.wrong("no name", "the model would have none", "name: my-model")
    meta.at("namespace").take(str)
    meta.at("generateName").note("the name is `name`")
    meta.at("labels").carry()
    for key in _THEIRS:
        meta.at(key).note("the API server's, or a controller's")
    for note in meta.at("annotations").inner():
        if note.key == f"{_KSERVE}stop" and str(note.data).lower() == "true":
            note.warn("a stopped service: here it runs", "nothing reads it", "no RayService at all")
        elif note.key in _NOTED:
            note.note("no effect here", _NOTED[note.key])
        elif note.key == _LAST_APPLIED:
            note.note("kubectl's own")
        elif note.key.startswith(_KNATIVE) and not meta.ledger.fate(note.place):
            note.note("no effect here", _SERVES)
        note.carry()
    for one in meta.inner():
        if not meta.ledger.fate(one.place) and one.key not in ("labels", "annotations"):
            one.note("not a field that is read")
