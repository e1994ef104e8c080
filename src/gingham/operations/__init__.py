"""What a catalogue does, one verb per module: ingest, teach, tag, search, export."""
