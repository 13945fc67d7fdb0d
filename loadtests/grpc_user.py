"""A user that speaks V2 over gRPC, under gevent as all of locust."""

import time
from urllib.parse import urlsplit

import grpc
from grpc.experimental.gevent import init_gevent

from loadtests.payloads import Sample, WrongAnswer
from loadtests.users import EVERY, GRPC_PORT, HOST, ModelUser
from serve_app.protocol import client

init_gevent()  # before the first channel, or the first call blocks every user

_TIMEOUT_S = 60
# Channels of one process share a connection otherwise; real clients don't share theirs.
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class GrpcUser(ModelUser):
    """One channel, one call in flight. `--host` gives the machine, GRPC_PORT the port."""

    tasks = EVERY

    def on_start(self) -> None:
        """Open the channel; it connects with the first call."""
        host = urlsplit(self.host or "").hostname or HOST
        self._channel = grpc.insecure_channel(f"{host}:{GRPC_PORT}", options=_OPTIONS)
        # Bytes in, bytes out: the messages are written and read outside the measured time.
        self._call = self._channel.unary_unary(client.GRPC_PATH)

    def on_stop(self) -> None:
        self._channel.close()

    def exchange(self, sample: Sample, waited: float) -> None:
        """Ask, check, and report as one request. Only the exchange itself is timed."""
        request_id = self.next_id()
        body = client.encode_grpc(client.request(sample.model, sample.inputs, request_id))
        answer = b""
        problem: Exception | None = None
        started, clock = time.time() - waited, time.perf_counter()
        try:
            answer = self._call(body, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            problem = WrongAnswer(f"{error.code().name}: {error.details()}")
        elapsed = time.perf_counter() - clock
        if problem is None:
            problem = self.problem(sample, request_id, lambda: client.decode_grpc(answer))
        self.environment.events.request.fire(
            request_type="gRPC",
            name=sample.model,
            start_time=started,
            response_time=(waited + elapsed) * 1000,
            response_length=len(answer),
            context=self.context(),
            exception=problem,
        )
