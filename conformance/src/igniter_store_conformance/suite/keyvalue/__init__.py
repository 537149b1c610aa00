"""Values, batches, TTLs and kinds of keys."""
