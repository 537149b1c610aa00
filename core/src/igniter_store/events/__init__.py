"""Typed events: their names, schemas and envelopes, and the two ways to declare them."""
