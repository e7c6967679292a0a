"""Sign-in: how a person proves who they are, and what their browser is remembered by.

`service.Identity` is the door; the other modules are one mechanism each.
"""
