"""Calling and extending an installed Spinal Cord Toolbox (SCT) from outside."""
