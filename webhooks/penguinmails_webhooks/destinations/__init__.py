"""Where events can be pushed to beside HTTP: Redis streams, Amazon SQS, NATS."""
