"""Opening, closing, cancelling, event loops and forks."""
