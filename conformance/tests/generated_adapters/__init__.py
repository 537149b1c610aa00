"""Broken adapters that are generated: each has one operation, or one capability, with one mutation."""
