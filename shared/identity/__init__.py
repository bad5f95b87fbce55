"""Who asks, and what they may do: callers and roles, users, their named keys, and browser sessions."""
