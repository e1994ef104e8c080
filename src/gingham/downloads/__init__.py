"""Images that tables name by URL, fetched to a folder; nothing else here uses the network."""
