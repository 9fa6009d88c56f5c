"""Where it is written: the branch's consumer, the card protocol and its readers."""
