"""Everything that touches an installed Spinal Cord Toolbox (SCT).

`link` puts a ``.pth`` file and commands into an installation, `hook` is what that file loads, `register` adds our tasks
to SCT's own lists, and `run` runs them when SCT's ``sct_deepseg`` is called with one.
"""
