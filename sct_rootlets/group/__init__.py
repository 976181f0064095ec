"""Many subjects: their level tables together, and how spinal and vertebral levels agree over them."""
