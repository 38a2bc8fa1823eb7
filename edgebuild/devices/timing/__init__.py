"""How latency is measured: the protocol and its statistics."""
