from . import whatsapp_send_message_wizard, whatsapp_set_credentials_wizard  # noqa: F401
