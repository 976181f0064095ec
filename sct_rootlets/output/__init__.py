"""Files of each result."""
