"""Learners that are grown with scikit-learn and serve from their own arrays."""
