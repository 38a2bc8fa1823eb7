"""Steps that measure: outputs, parity, accuracy, footprint, latency, and the verdicts made of them."""
