"""Pure V2: tensors, datatypes and the codecs (JSON, binary, protobuf) of both sides. No I/O, no Ray."""
