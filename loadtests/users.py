"""What the users of every transport share: where the server is, and which models they ask."""

import itertools
import os
import time
from collections.abc import Callable

from locust import User, constant

from loadtests import own_model, payloads
from loadtests.own_model import MODEL
from loadtests.payloads import Sample, WrongAnswer
from serve_app.protocol.tensors import InferResponse

HOST = "127.0.0.1"
HTTP_PORT = int(os.environ.get("HTTP_PORT") or 8000)
GRPC_PORT = int(os.environ.get("GRPC_PORT") or 9000)

_ids = itertools.count(1)


def ask_identity(user: "ModelUser") -> None:
    """One request to the echo."""
    user.infer(payloads.identity())


def ask_digits(user: "ModelUser") -> None:
    """One request to the PyTorch model."""
    user.infer(payloads.digits("digits"))


def ask_digits_onnx(user: "ModelUser") -> None:
    """One request to the ONNX model."""
    user.infer(payloads.digits("digits-onnx"))


def ask_sentences(user: "ModelUser") -> None:
    """One request to the text model."""
    user.infer(payloads.sentences())


def ask_own(user: "ModelUser") -> None:
    """One request to the model that MODEL names."""
    user.infer(own_model.sample(user.http_url, MODEL))


# A text costs about fifty times as much as a digit: fewer of them, or little else gets a turn.
DECLARED = {ask_digits: 4, ask_digits_onnx: 4, ask_sentences: 1}
EVERY = {ask_own: 1} if MODEL else {ask_identity: 4, **DECLARED}


class ModelUser(User):  # type: ignore[misc]
    """Asks the demo models in a random order, the next as soon as the last has answered.

    In an open loop (loadtests.shapes) the next when it is due. Subclasses have the tasks: locust
    adds a base's to them.
    """

    abstract = True
    wait_time = constant(0)

    @property
    def http_url(self) -> str:
        """Of the server, also for a user of gRPC."""
        return self.host or f"http://{HOST}:{HTTP_PORT}"

    def infer(self, sample: Sample) -> None:
        """One request, in its turn."""
        arrivals = getattr(self.environment, "arrivals", None)
        if arrivals is None:
            self.exchange(sample, 0.0)
            return
        due = arrivals.take()
        self.exchange(sample, time.perf_counter() - due)
        arrivals.done()

    def exchange(self, sample: Sample, waited: float) -> None:
        """Send, check and report one request, `waited` seconds after it was due."""
        raise NotImplementedError

    def next_id(self) -> str:
        """A request id that no other user of this process has."""
        return f"load-{next(_ids)}"

    def problem(
        self, sample: Sample, sent_id: str, read: Callable[[], InferResponse]
    ) -> Exception | None:
        """What is wrong with an answer, None when it is the right one to this very request."""
        try:
            answer = read()
            if answer.id != sent_id:
                raise WrongAnswer("the answer carries another request's id")
            sample.check(answer.arrays)
        except Exception as error:  # an answer that can't be read is a failure, not the user's end
            return error
        return None
