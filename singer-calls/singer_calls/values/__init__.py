"""Pure functions over the values of a call: phone numbers, local times, durations."""
