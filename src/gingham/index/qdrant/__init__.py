"""The index in collections of a Qdrant server or cluster."""
