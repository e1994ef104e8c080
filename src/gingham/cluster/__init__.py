"""Images read on many machines: workers of a Ray cluster, each with a network of its own."""
