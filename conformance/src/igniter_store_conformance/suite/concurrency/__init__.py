"""Many callers, several clients and several processes at the same time."""
