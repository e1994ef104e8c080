"""The index in a folder: a graph by Qdrant Edge, with tags and taught looks beside it."""
