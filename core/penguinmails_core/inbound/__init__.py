"""Webhooks of others, received: where they come in, what came, who is told."""
