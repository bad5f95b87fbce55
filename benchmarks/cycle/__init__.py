"""How long a quality cycle takes, part by part."""
