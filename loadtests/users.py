"""What the users of every transport share: where the server is, and which models they ask."""

import itertools
import os
from collections.abc import Callable

from locust import User, constant

from loadtests import payloads
from loadtests.payloads import Arrays, Sample, WrongAnswer

HOST = "127.0.0.1"
HTTP_PORT = int(os.environ.get("HTTP_PORT") or 8000)
GRPC_PORT = int(os.environ.get("GRPC_PORT") or 9000)

Answer = tuple[str | None, Arrays]  # request id, tensors
_ids = itertools.count(1)


def _identity(user: "ModelUser") -> None:
    user.infer(payloads.identity())


def _digits(user: "ModelUser") -> None:
    user.infer(payloads.digits("digits"))


def _digits_onnx(user: "ModelUser") -> None:
    user.infer(payloads.digits("digits-onnx"))


def _sentences(user: "ModelUser") -> None:
    user.infer(payloads.sentences())


class ModelUser(User):  # type: ignore[misc]
    """Asks the demo models in a random order, the next as soon as the last has answered."""

    abstract = True
    wait_time = constant(0)
    # A text costs about fifty times as much as a digit: fewer of them, or little else gets a turn.
    tasks = {_identity: 4, _digits: 4, _digits_onnx: 4, _sentences: 1}  # noqa: RUF012 - locust's own form

    def infer(self, sample: Sample) -> None:
        """Send, check and report one request."""
        raise NotImplementedError

    def next_id(self) -> str:
        """A request id that no other user of this process has."""
        return f"load-{next(_ids)}"

    def problem(self, sample: Sample, sent_id: str, read: Callable[[], Answer]) -> Exception | None:
        """What is wrong with an answer, None when it is the right one to this very request."""
        try:
            got_id, outputs = read()
            if got_id != sent_id:
                raise WrongAnswer("the answer carries another request's id")
            sample.check(outputs)
        except Exception as error:  # an answer that can't be read is a failure, not the user's end
            return error
        return None
