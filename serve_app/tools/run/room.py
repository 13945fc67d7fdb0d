"""What a config asks for and this machine doesn't have."""

from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.tools.check.demand import demands

_RAYS = {"num_cpus": "CPU", "num_gpus": "GPU"}


def without_room(config: Any, resources: Mapping[str, float]) -> Iterator[str]:
    """A line for each deployment of which no replica can be placed, whatever else ends."""
    for one in demands(config, ()):
        for key, wanted in one.sizes.items():
            if wanted > (there := resources.get(_RAYS.get(key, key), 0)):
                yield (
                    f"{one.name}: a replica needs {key} {wanted:g}, and this machine has {there:g}: "
                    "it stays DEPLOYING for ever, and the other applications are served without it"
                )
