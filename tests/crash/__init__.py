"""Real processes, real SIGKILL. What was accepted is sent, what must not be doubled is not, what happened is told."""
