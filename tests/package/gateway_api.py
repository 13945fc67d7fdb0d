"""The part of the Gateway API (v1) that configs/k8s uses: no package brings its CRDs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Duration = Annotated[str, Field(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[
    str, Field(pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ParentRef(Strict):
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    name: str
    namespace: str | None = None
    sectionName: str | None = None  # noqa: N815
    port: Port | None = None


class Backend(Strict):
    group: str = ""
    kind: str = "Service"
    name: str
    port: Port
    namespace: str | None = None
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1


class Timeouts(Strict):
    request: Duration | None = None
    backendRequest: Duration | None = None  # noqa: N815


class Path(Strict):
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


class HttpMatch(Strict):
    path: Path | None = None


class HttpRule(Strict):
    matches: list[HttpMatch] = []
    backendRefs: list[Backend]  # noqa: N815
    timeouts: Timeouts | None = None


class Method(Strict):
    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: str | None = None
    method: str | None = None


class GrpcMatch(Strict):
    method: Method | None = None


class GrpcRule(Strict):
    matches: list[GrpcMatch] = []
    backendRefs: list[Backend]  # noqa: N815


class HttpSpec(Strict):
    parentRefs: list[ParentRef]  # noqa: N815
    hostnames: list[Host] = []
    rules: list[HttpRule]


class GrpcSpec(HttpSpec):
    rules: list[GrpcRule]  # type: ignore[assignment]


class Route(Strict):
    apiVersion: Literal["gateway.networking.k8s.io/v1"]  # noqa: N815
    kind: Literal["HTTPRoute", "GRPCRoute"]
    metadata: dict[str, str]


class HTTPRoute(Route):
    spec: HttpSpec


class GRPCRoute(Route):
    spec: GrpcSpec
