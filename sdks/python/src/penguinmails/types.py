"""All models, enumerations and input dictionaries, for annotations: ``from penguinmails.types import Email``."""

from penguinmails._generated.inputs import *  # noqa: F403
from penguinmails._generated.models import *  # noqa: F403
from penguinmails._generated.unions import *  # noqa: F403
