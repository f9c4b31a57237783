"""Publishing to real brokers that are killed, stopped and started again."""
