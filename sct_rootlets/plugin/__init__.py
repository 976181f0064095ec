"""What runs inside the Spinal Cord Toolbox."""
