"""TFLite operators written as ONNX's, channels last as they are: one file a family, each with a table of functions.

To add an operator is to write one function and to name it in the table of its file (a family to name its table in
`translate.py`); it is given a `Call` and gives the
name of the result, or a tuple of names for several outputs. ONNX Runtime takes out the transposes around convolutions.
"""

from __future__ import annotations

from edgebuild.formats.tflite_to_onnx.translate import translate

__all__ = ["translate"]
