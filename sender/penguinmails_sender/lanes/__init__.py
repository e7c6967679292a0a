"""How the engine keeps to the lanes: pace, connections, pauses."""
