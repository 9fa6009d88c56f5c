"""Pure rules: they get the moment as an argument and nothing in them can fail."""
