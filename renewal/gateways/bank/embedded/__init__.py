"""A core-banking system in one folder, for the default and the demo."""
