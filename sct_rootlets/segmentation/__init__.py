"""Rootlets from images: reading models, and running them."""
