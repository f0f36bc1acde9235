"""Names of codes in the reader's language."""
