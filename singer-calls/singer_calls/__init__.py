"""What the call taps and targets share: windows and typed records for taps, delivery that loses no call for targets."""
