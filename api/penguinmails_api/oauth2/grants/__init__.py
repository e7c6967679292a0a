"""The grant types, each a class of Authlib with its open ends closed."""
