"""Scans that a random anatomy would give."""
