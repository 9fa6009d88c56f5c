"""Everything in one process: consumers, scheduler, station and what the world may fetch."""
