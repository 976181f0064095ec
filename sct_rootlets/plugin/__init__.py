"""Living inside the Spinal Cord Toolbox: our tasks in its ``sct_deepseg``."""
