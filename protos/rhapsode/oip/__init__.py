"""The Open Inference Protocol. The *_pb2 modules are generated from the .proto file beside them by `make protos`."""
