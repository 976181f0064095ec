"""Training on labelled scans by nnU-Net v2.

`scans` reads labelled scans and `checks` checks them, `splits` and `split_files` divide persons, `dataset` writes
nnU-Net's raw dataset, and `preparation` calls these once. `train` runs nnU-Net's own steps: `steps` starts a process
for each, and `worker` runs in it, with `trainer` and `transfer`. `first_labels` predicts labels for a new contrast, and
`release` packs a trained model.
"""
