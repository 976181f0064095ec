"""What is measured of a subject."""
