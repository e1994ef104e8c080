"""Measurements: the layer study, the quality of retrieval, and of a trained model."""
