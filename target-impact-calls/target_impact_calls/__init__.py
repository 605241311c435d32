"""Singer target for impact.com Call Data: each call delivered once, none lost."""
