"""The networks: the table of them, weights, what runs them, pooling of their layers."""
