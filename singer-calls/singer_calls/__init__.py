"""What call taps and targets share: windows for taps, delivery that loses no call for targets."""
