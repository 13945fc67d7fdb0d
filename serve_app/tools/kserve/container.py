"""A container's fields: what is Ray's, what is the pods', what is neither."""

from collections.abc import Sequence

from serve_app.tools.kserve import arguments
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model, Pods
from serve_app.tools.kube.quantity import quantity
from serve_app.tools.kube.ray_cluster import GPU

_PODS = ("envFrom", "securityContext", "volumeMounts", "volumeDevices", "imagePullPolicy", "lifecycle")
_PROBE = "KubeRay probes its pods, and Serve its replicas"
_NOTED = {
    "image": "Tandem's own image runs the model; `tandem convert --image` names another one",
    "ports": "a RayService's ports are 8000 (HTTP) and 9000 (gRPC)",
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "name": "the containers' names are KubeRay's",
    "resizePolicy": "pods of Ray aren't resized: Ray counts what they had at their start",
    "restartPolicy": "KubeRay replaces pods, and Serve replicas",
    "restartPolicyRules": "KubeRay replaces pods, and Serve replicas",
    "stdin": "nobody is there to type",
    "stdinOnce": "nobody is there to type",
    "tty": "nobody is there to type",
    "terminationMessagePath": "Ray's own container ends without a message",
    "terminationMessagePolicy": "Ray's own container ends without a message",
    "workingDir": "the image's, where Tandem is installed",
}
MAIN = "kserve-container"
_COMMAND = "a command is the server's that KServe starts; here Ray starts the model"


def main_of(boxes: Sequence[Field]) -> Field:
    """KServe's own among them, by its name, or the first."""
    return next((one for one in boxes if one.get("name") == MAIN), boxes[0])


def replaced(main: Field, model: Model, pods: Pods) -> None:
    """A container whose image isn't run: what of it is about what runs in its place."""
    main.at("name").carry()
    read(main, model, pods)
    for each in arguments.parse(main):
        each.note("an argument of the container's own server", "its container isn't run here")
    if uri := model.env.pop("STORAGE_URI", None):
        model.put("storageUri", uri, main.at("env"))


def read(one: Field, model: Model, pods: Pods, of_gpus: float | None = None) -> None:
    """All but what the model is and its `args`. `of_gpus`: so many does an engine take."""
    for name in _PODS:
        if one.at(name):
            pods.container[name] = one.at(name).carry()
    for name, why in _NOTED.items():
        one.at(name).note(f"`{name}` has no place here", why)
    one.at("command").warn("not run", _COMMAND)
    secret = one.at("confidential")
    if secret.get("enabled") is True:
        secret.refuse("files are decrypted by KServe's initializer alone", "the model can't be read")
    else:
        secret.note("nothing is encrypted")
    environment(one, model, pods)
    resources(one.at("resources"), model, pods, of_gpus)


def environment(one: Field, model: Model, pods: Pods) -> None:
    """Values go to the model's processes, references to the pods."""
    for variable in one.each("env"):
        name, value = variable.get("name"), variable.get("value")
        if not isinstance(name, str):
            variable.at("name").wrong("a variable without a name", "the API server refuses it")
        elif variable.at("valueFrom"):
            pods.container.setdefault("env", []).append(variable.data)
            variable.carry()
        elif name == "PYTHONPATH":
            variable.wrong("PYTHONPATH can't be set", "KServe refuses it, since 0.20")
        elif value is None or isinstance(value, str):
            model.env[name] = value or ""
            model.origin[("env", name)] = variable.place
            variable.carry()
        else:
            variable.at("value").wrong(
                f"expected text, got {value!r}", "the API server refuses it", f'"{value}"'
            )


def resources(one: Field, model: Model, pods: Pods, of_gpus: float | None = None) -> None:
    """Requests are what Ray reserves, all of them are what the pods get."""
    if one.of(dict) is None:
        return
    sizes: dict[str, dict[str, float]] = {}
    for part in ("requests", "limits"):
        for entry in one.at(part).inner():
            try:
                sizes.setdefault(part, {})[entry.key] = quantity(entry.data)
            except ValueError as error:
                entry.wrong(str(error), "the API server refuses it", "500m, 2, 4Gi …")
                continue
    pods.container["resources"] = one.carry()
    limits, requests = sizes.get("limits", {}), sizes.get("requests", {})
    cpus = requests.get("cpu", limits.get("cpu"))
    if cpus is not None and cpus != 1:
        model.inner("resources", "num_cpus", _plain(cpus), one)
    gpus = [value for key, value in {**requests, **limits}.items() if GPU.search(key)]
    if gpus and gpus[0]:
        wanted = gpus[0] if of_gpus is None else of_gpus
        model.inner("resources", "num_gpus", _plain(wanted), one)
        if wanted != gpus[0]:
            one.warn(
                f"the engine takes {wanted:g} of {gpus[0]:g} GPUs", "the others stay idle",
                f"--tensor-parallel-size={gpus[0]:g} among the args",
            )  # fmt: skip
    if limits:
        one.at("limits").note(
            "a limit holds in a RayService's pods alone", "Ray reserves, and doesn't limit"
        )


def _plain(number: float) -> float:
    return int(number) if float(number).is_integer() else number
