"""Putting processes together: API server, worker, and the local stack that `run`, `demo` and `sandbox` share."""
