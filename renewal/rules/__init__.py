"""Pure rules: they take the moment as an argument and cannot fail for outside reasons."""
