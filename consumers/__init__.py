"""What follows: one module for each thing that must be done."""
