from . import controllers, models, wizards  # noqa: F401
from .uninstall import uninstall_hook  # noqa: F401
