"""The demo: a sample bank, its customers, 75 days of a virtual clock, and the outside world's ledgers."""
