"""Generated broken adapters: one operation or capability of each has one mutation."""
