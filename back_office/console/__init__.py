"""The console: what back-office staff see and do in their browser."""
