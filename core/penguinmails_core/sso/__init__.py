"""Single sign-on: connections to identity providers, proven domains, and who their people are here."""
