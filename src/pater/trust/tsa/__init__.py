"""Time stamps of RFC 3161: an authority of our own, a client of any, and their verification."""
