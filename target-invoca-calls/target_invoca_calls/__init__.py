"""Singer target for Invoca Call Ingestion: each call delivered once, none lost."""
