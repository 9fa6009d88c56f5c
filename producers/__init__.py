"""Events into the outbox, and the relay to Kafka."""
