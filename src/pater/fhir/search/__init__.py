"""Search: what a resource offers to it, what a request asks, and whether the two meet."""
