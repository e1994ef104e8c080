"""The truth of a catalogue: append-only files that survive a crash, and who may write them."""
