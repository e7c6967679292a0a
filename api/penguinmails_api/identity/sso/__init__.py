"""Single sign-on in the browser: OpenID Connect and SAML 2.0."""
