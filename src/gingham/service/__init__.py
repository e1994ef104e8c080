"""A catalogue over HTTP: requests are checked, one method is called, errors become documents."""
