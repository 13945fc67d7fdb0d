"""InferenceServices to be read, and what became of them."""

from pathlib import Path
from typing import Any

import yaml

from serve_app.tools.check import served
from serve_app.tools.kserve import serve_config
from serve_app.tools.kserve.service import Service
from serve_app.tools.kserve.translate import problems, translate
from serve_app.tools.kube.documents import Document, read

MODE = "serving.kserve.io/deploymentMode"


def isvc(predictor: dict[str, Any], name: str = "m", **spec: Any) -> dict[str, Any]:
    """A whole one. `annotations` among `spec` are the metadata's."""
    meta: dict[str, Any] = {"name": name}
    if notes := spec.pop("annotations", None):
        meta["annotations"] = notes
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": meta,
        "spec": {"predictor": predictor, **spec},
    }


def onnx(**more: Any) -> dict[str, Any]:
    """A predictor with a model."""
    return {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "gs://a/b"}, **more}


def model(form: str, **more: Any) -> dict[str, Any]:
    """A predictor whose model is of a format."""
    return {"model": {"modelFormat": {"name": form}, "storageUri": "gs://a/b", **more}}


def documents(*data: dict[str, Any]) -> list[Document]:
    return read(Path("file.yaml"), yaml.safe_dump_all(data))


def services(*data: dict[str, Any]) -> list[Service]:
    return translate(documents(*data)).services


def one(data: dict[str, Any]) -> Service:
    (found,) = services(data)
    return found


def entry(data: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the only application of a model."""
    return application(data)["args"]


def application(data: dict[str, Any]) -> dict[str, Any]:
    service = one(data)
    assert errors(service) == []
    (app,) = serve_config.write([service])["applications"][1:]
    return app


def said(service: Service) -> dict[str, str]:
    """What is said, by place: severity, and the sentence."""
    return {
        ".".join(map(str, each.place)): f"{each.severity}: {each.what}" for each in problems(service)
    }


def errors(service: Service) -> list[str]:
    return [text for text in said(service).values() if text.startswith("error")]


def checked(*data: dict[str, Any]) -> str:
    """All errors and warnings, after the Serve config was checked too."""
    lines = served.run(served.served(documents(*data), here=False))
    return "\n".join(str(each) for each in lines if each.severity != "note")
