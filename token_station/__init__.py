"""The branch station: token protocols, readers, journal and screen."""
