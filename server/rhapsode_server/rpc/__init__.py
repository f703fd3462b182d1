"""The gRPC floor: wire messages in, values to the engine, wire messages out."""
