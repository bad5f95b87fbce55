"""Learners of the minutes that challenge the product's own: fitted by scikit-learn, served as plain arrays."""
