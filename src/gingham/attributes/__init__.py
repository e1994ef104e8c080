"""Attributes: estimators that learn one from examples, and what each of them answers."""
