"""Where SQL lives: named queries over one transaction."""
