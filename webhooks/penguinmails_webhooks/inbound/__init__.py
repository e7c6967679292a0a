"""How others prove that a webhook is theirs: a table of schemes."""
