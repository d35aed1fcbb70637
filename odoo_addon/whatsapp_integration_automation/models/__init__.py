from . import whatsapp_event  # noqa: F401
