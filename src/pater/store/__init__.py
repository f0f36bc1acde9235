"""PostgreSQL and nothing else: schema, write, read, search, history, feed, the embedded server."""
