from . import test_rules  # noqa: F401
