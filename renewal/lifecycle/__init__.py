"""Changes states: the only code that does, each function one transition and its events."""
