"""Bytes of an image -> 8-bit sRGB: what a file is, which decoder may read it, its colours."""
