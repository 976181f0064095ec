"""The models there are: bundled, installed, or in a folder."""
