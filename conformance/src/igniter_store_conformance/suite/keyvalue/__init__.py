"""Values, batches, TTLs and types of keys."""
