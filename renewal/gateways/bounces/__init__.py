"""Where mail servers' reports on our mails are kept until they are read."""
