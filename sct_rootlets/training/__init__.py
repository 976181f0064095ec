"""Training without labelled scans: random anatomies, and the images they would give."""
