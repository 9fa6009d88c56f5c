"""The demo: a sample bank and its customers through 75 days of a virtual clock."""
