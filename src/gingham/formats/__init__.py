"""What is on a disk: files and folders of many formats, each a module and a row of one table."""
