"""What each verb of the command line does, in one call: build, gate, bench, doctor."""
