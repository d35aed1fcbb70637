from . import (  # noqa: F401, I001
    whatsapp_send_message_wizard,
    whatsapp_send_content,
    whatsapp_set_credentials_wizard,
    whatsapp_bulk_send_wizard,
    whatsapp_sync_wizard,
    whatsapp_contact_wizards,
    whatsapp_group_people,
    whatsapp_group_create_wizard,
    whatsapp_group_wizards,
    whatsapp_group_remove_wizard,
    whatsapp_group_bulk_wizard,
)
