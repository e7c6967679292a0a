"""Lanes: what is sent from one source to one provider. What a lane may do is data (`data/*.toml`), what it did and why
is in the tables; `docs/lanes.md` says how it works."""
