"""The audit under attack, and the speed of its verification."""
