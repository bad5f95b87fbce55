"""Proof of once: messages that come several times, in any order, to several workers, have each its effect once."""
