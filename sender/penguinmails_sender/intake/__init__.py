"""Reports about our mail: return paths that prove themselves, the door they come in by, what follows."""
