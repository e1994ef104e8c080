"""Attributes: learners of one from examples, and what each of them answers."""
