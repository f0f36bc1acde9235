"""Seals and signatures of documents: made, extended, validated (ETSI AdES)."""
