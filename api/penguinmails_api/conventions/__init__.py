"""What every resource of the API can do, written once: sparse fieldsets, expansion, dry runs, ETags, announced ends.

Routes switch them on through `penguinmails_api.routing.operation`; `docs/conventions.md` is the guide.
"""
