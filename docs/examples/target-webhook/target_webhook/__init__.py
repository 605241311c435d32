"""Singer target for webhooks."""
