"""The index in a folder: vectors, their codes and graphs, tags and further looks."""
