from .result import RetrievalResult as RetrievalResult
from .run import evaluate_retrieval as evaluate_retrieval
