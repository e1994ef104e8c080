"""A catalogue that a server holds, used over HTTP like one of one's own."""
