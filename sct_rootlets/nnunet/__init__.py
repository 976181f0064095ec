"""Training on labelled scans by nnU-Net v2: checks, splits by subject, dataset, training, release."""
