"""What staff do, and what is written down of it."""
