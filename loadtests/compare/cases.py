"""What is asked: a model, a transport, and requests that both sides get byte for byte alike."""

from dataclasses import dataclass

from loadtests.requests import Request, binary_request, digits, echo, sentences, sentences_over_grpc

CONNECTIONS = 128  # so many requests can be under way
TRANSPORTS = {"http": "HTTP", "binary": "HTTP, binary tensors", "grpc": "gRPC"}


@dataclass(frozen=True)
class Case:
    """Requests in turn to one model."""

    name: str
    requests: tuple[Request, ...]

    @property
    def grpc(self) -> bool:
        """Whether it is asked over gRPC."""
        return self.requests[0].grpc

    @property
    def model(self) -> str:
        """The one it asks."""
        return self.requests[0].model

    @property
    def models(self) -> list[str]:
        """All that it asks."""
        return list(dict.fromkeys(request.model for request in self.requests))

    @property
    def title(self) -> str:
        return title(self.name)


def title(name: str) -> str:
    """A case in words."""
    model, _, rest = name.partition("/")
    transport = rest.partition(" ")[0] or "http"  # what follows says over how many copies
    return f"{model} over {TRANSPORTS.get(transport, transport)}"


CASES = {
    case.name: case
    for case in (
        Case("identity/http", (echo(),)),
        Case("identity/grpc", (binary_request("identity", 16, grpc=True),)),
        Case("digits/http", digits()),
        Case("sentences/http", sentences()),
        Case("sentences/grpc", sentences_over_grpc()),
    )
}


def copies(model: str, count: int) -> list[str]:
    """The names of so many copies of a model, itself the first."""
    return [model, *(f"{model}-{index}" for index in range(2, count + 1))]


def spread(case: Case, count: int) -> Case:
    """The case with its requests over copies of its model, in turn (HTTP)."""
    requests = tuple(
        Request(name, request.body, json_length=request.json_length)
        for request in case.requests
        for name in copies(case.model, count)
    )
    return Case(f"{case.name} x {count}", requests)
