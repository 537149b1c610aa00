"""Claims and leases."""
