"""How well searches by descriptors and looks find images of the same class and of like colours."""

from gingham.retrieval.run import RetrievalResult, evaluate_retrieval

__all__ = ["RetrievalResult", "evaluate_retrieval"]
