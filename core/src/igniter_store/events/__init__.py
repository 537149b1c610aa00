"""Typed events: their names, schemas and envelopes, and two ways to declare them."""
