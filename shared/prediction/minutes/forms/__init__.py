"""Forms of the expected minutes: what stands between an item's attributes and the logarithms of its minutes."""
