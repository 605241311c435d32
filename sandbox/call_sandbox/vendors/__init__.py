"""One module per vendor API; the table of them is `call_sandbox.app.VENDORS`."""
