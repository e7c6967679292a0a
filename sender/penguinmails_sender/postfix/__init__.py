"""A Postfix of our own as a smarthost."""
