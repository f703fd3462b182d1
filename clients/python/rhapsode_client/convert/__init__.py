"""Pure conversions between the client's values and the messages of the wire, shared by both clients."""
