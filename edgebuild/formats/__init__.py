"""File formats, one file each: convert, quantize and describe."""
