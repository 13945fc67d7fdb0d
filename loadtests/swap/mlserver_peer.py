"""MLServer with the one model, told of versions through its repository API.

`python -m loadtests.swap.mlserver_peer --config FILE --http-port N --grpc-port N`
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mlserver import MLModel, MLServer, Settings
from mlserver.codecs import NumpyCodec
from mlserver.repository.repository import SchemalessModelRepository
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import install_uvloop_event_loop

from loadtests.hosted import LOOPBACK, MESSAGE_BYTES, command_line, latest, load
from serve_app.ports import free_port

_FILE = "SWAP_CONFIG"


class Swapped(MLModel):  # type: ignore[misc]
    """What the config file says at the time of its loading."""

    async def load(self) -> bool:
        """MLServer makes another one of these for each load, and puts it in the place of this one."""
        found = await asyncio.to_thread(load, Path(os.environ[_FILE]))
        (self._host,) = found.values()
        self._version, _ = latest(self._host)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        outputs = await self._host.predict(self._version, inputs, {})
        made = [NumpyCodec.encode_output(name, array) for name, array in outputs.items()]
        return InferenceResponse(model_name=self.name, model_version=self._version, outputs=made)

    async def unload(self) -> bool:
        await asyncio.to_thread(self._host.close)
        return True


def main() -> None:
    """Serve until SIGTERM."""
    options = command_line("mlserver_peer")
    os.environ[_FILE] = str(options.config.resolve())
    settings: dict[str, Any] = {
        "host": LOOPBACK, "http_port": options.http_port, "grpc_port": options.grpc_port,
        "metrics_port": free_port(), "grpc_max_message_length": MESSAGE_BYTES, "parallel_workers": 0,
        "debug": False,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        about = {"name": "swapped", "implementation": "loadtests.swap.mlserver_peer.Swapped"}
        (Path(folder) / "model-settings.json").write_text(json.dumps(about))
        install_uvloop_event_loop()
        asyncio.run(_serve(Settings(**settings, model_repository_root=folder)))


async def _serve(settings: Settings) -> None:
    models = await SchemalessModelRepository(settings.model_repository_root).list()
    await MLServer(settings).start(models)


if __name__ == "__main__":
    main()
