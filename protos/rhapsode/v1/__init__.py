"""Version 1 of both contracts. The *_pb2 modules are generated from the .proto files beside them by `make protos`."""
