"""Where webhooks of others come in."""
