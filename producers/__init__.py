"""What happened: facts into the log."""
