"""Level tables of many subjects, and the agreement of spinal and vertebral levels over these subjects."""
