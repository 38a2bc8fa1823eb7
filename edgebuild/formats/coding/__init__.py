"""The coded download: a model file in fewer bytes, rebuilt bit for bit by a decoder that travels with it."""

SUFFIX = ".edz"  # of a download: model.tflite → model.tflite.edz
