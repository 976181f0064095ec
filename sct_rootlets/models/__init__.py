"""The store of models: finding, reading, installing and verifying them."""
