"""How often the alarm is false, and how soon it is true: simulated histories beside a CUSUM that knows everything."""
