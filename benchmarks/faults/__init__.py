"""What a machine can do to a job: sudden deaths at every point, a full disk, a clock set back, storage set back."""
