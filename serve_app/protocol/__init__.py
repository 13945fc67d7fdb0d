"""Pure V2: tensors, datatypes and the three codecs (JSON, binary, protobuf). No I/O, no Ray."""
