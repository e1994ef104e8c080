"""The index of vectors: looks, filters, and the engines that search. Derived, never the truth."""
