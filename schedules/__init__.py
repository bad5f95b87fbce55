"""When timers fire: the one piece that the embedded host and the product both need. It imports nothing of either."""
