"""For targets: delivery of calls to a vendor's API, no call lost, none sent twice unknowingly."""
