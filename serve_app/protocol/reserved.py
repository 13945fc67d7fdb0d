"""Parameters of the protocol itself: they are the server's to read, and no model's.

Those that Triton's parameters extension reserves, which its clients send with requests to any model,
and MLServer's `content_type`, which its codecs write. What has no meaning here is passed over.
"""

from serve_app.protocol.tensors import Parameters

# Tandem's own: how a model is told which outputs are asked for, and another server what tensors carry.
OUTPUTS, TENSORS = "_outputs", "_tensors"
_NAMES = frozenset(
    {OUTPUTS, TENSORS, "priority", "timeout", "headers", "binary_data_output", "content_type"}
)
_HERE = frozenset({OUTPUTS, TENSORS, "timeout", "binary_data_output"})
_PREFIXES = ("triton_", "sequence_")


def is_reserved(name: str) -> bool:
    """Whether a parameter of this name is the protocol's."""
    return name in _NAMES or name.startswith(_PREFIXES)


def for_model(parameters: Parameters) -> Parameters:
    """Those that reach a model, and keep requests apart that can't go in one batch."""
    if not parameters:
        return parameters
    return {name: value for name, value in parameters.items() if not is_reserved(name)}


def for_server(parameters: Parameters) -> Parameters:
    """Those that reach another server of the protocol, which reads its parameters itself."""
    return {name: value for name, value in parameters.items() if name not in _HERE}
