"""Broken connections, stopped servers and blocked event loops."""
