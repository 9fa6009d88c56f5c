"""The log's port and its engines."""
