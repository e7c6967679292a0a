"""SCIM 2.0 at /scim/v2: the protocol is scim2-server's, storage and members are ours."""
