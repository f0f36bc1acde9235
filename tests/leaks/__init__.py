"""Twin worlds: what is withheld, and what was never written, cannot be told apart."""
