"""Where a model lies: storageUri, storage, storageUris, and a secret beside them."""

import json
from collections.abc import Sequence
from typing import Any

from serve_app.errors import ConfigError
from serve_app.repository.addresses import address
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model
from serve_app.tools.kube.documents import Document, get

MOUNT = "/mnt/models"
_CANT = "no model can be loaded from there"
_ELSEWHERE = {
    "oci": "mount the image as a volume (`image: {reference: …}`), and give the path",
    "oci+native": "mount the image as a volume (`image: {reference: …}`), and give the path",
    "oci+fetch": "copy the files into a bucket or a volume: s3://, gs://, pvc://",
    "hdfs": "copy the files into a bucket or a volume: s3://, gs://, pvc://",
    "webhdfs": "copy the files into a bucket or a volume: s3://, gs://, pvc://",
}
_SCHEMES = {"s3": "s3", "gs": "gs", "gcs": "gs", "azure": "az", "abfs": "abfs"}


def locate(one: Field, part: Field, model: Model, beside: Sequence[Document]) -> None:
    """`one` is the model's spec, `part` the component's, which may have `storageUris`."""
    uri, spec, several = one.at("storageUri"), one.at("storage"), part.at("storageUris")
    if uri and several:
        several.wrong("storageUri and storageUris", "KServe refuses both", "one of them")
        return
    if uri and not spec:
        _put(uri, uri.of(str), model)
    elif spec.of(dict) is not None:
        _of_key(spec, uri, model, beside)
    elif several:
        _mounted(several, model)


def _put(source: Field, text: str | None, model: Model) -> None:
    if text is None:
        return
    scheme, there, _ = text.partition("://")
    if there and scheme in _ELSEWHERE:
        source.refuse(f"{scheme}:// isn't fetched", _CANT, _ELSEWHERE[scheme])
        return
    try:
        address(text)
    except ConfigError as error:
        what = str(error).removeprefix(f"storageUri '{text}': ")
        source.wrong(what, _CANT)
        return
    source.carry()
    model.put("storageUri", text, source)


def _mounted(several: Field, model: Model) -> None:
    """The one at KServe's usual place is the model."""
    main = [one for one in several.each() if one.get("mountPath") in (None, MOUNT)]
    for one in several.each():
        if not main or one.place != main[0].place:
            one.refuse(
                "a second storage", "a model's files lie in one place here", f"all of it below {MOUNT}"
            )
    if main:
        main[0].at("mountPath").carry()
        _put(main[0].at("uri"), main[0].at("uri").of(str), model)


def _of_key(spec: Field, uri: Field, model: Model, beside: Sequence[Document]) -> None:
    """A storage by the key of a secret, which says the kind, the bucket and who asks."""
    key, path = spec.text("key"), spec.text("path").strip("/")
    said = _secret(key, beside) | spec.mapping("parameters")
    if uri:
        _put(uri, uri.of(str), model)
    else:
        kind, bucket = _SCHEMES.get(str(said.get("type"))), said.get("bucket")
        if kind is None or not bucket:
            lacking = "bucket" if kind else "type and bucket" if not bucket else "type"
            spec.refuse(
                f"where it is, the secret `storage-config` says: no {lacking} here",
                "no model can be loaded",
                "storageUri: s3://BUCKET/PATH, or the secret beside it in the same file, "
                "or storage.parameters: {type: s3, bucket: …}",
            )
            return
        model.put("storageUri", f"{kind}://{bucket}/{path}", spec)
        spec.at("path").carry()
        for name in ("type", "bucket"):
            spec.at("parameters", name).carry()
    for name in spec.mapping("parameters"):
        if spec.ledger.fate(spec.at("parameters", name).place):
            continue
        spec.at("parameters", name).warn(
            f"`{name}` isn't read", "stores' libraries read the environment",
            "AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and others in the predictor's `env`",
        )  # fmt: skip
    if key:
        spec.at("key").warn(
            f"the secret's entry `{key}` isn't read", "stores' libraries read the environment",
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL … by `env` with secretKeyRef",
        )  # fmt: skip
    spec.at("schemaPath").note("a schema's file isn't read", "signatures come from the model's file")
    if uri and path:
        spec.at("path").note("storageUri says where it is")


def _secret(key: str, beside: Sequence[Document]) -> dict[str, Any]:
    """The entry `key` of `storage-config`, where it stands in the same file as text."""
    for one in beside:
        text = get(one.data, "stringData", key)
        if one.kind == "Secret" and isinstance(text, str):
            try:
                found = json.loads(text)
            except ValueError:
                continue
            return found if isinstance(found, dict) else {}
    return {}
