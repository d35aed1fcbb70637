from odoo import fields, models


def unique(name, column):
    """A unique constraint as this series writes it, for the body of a class."""
    if hasattr(models, "Constraint"):
        return {"_" + name: models.Constraint("unique(%s)" % column, "Exists already.")}
    return {"_sql_constraints": [(name, "unique(%s)" % column, "Exists already.")]}


class Configuration(models.Model):
    _name = "whatsapp.configuration"
    _description = "WhatsApp configuration"

    name = fields.Char(required=True)
    token = fields.Char(required=True)
    device_id = fields.Char()
    supervisor_phone = fields.Char(required=True)
    active = fields.Boolean(default=True)
    provider = fields.Char(required=True)
    channel_id = fields.Char()


class Contact(models.Model):
    _name = "whatsapp.contact"
    _description = "WhatsApp contact"

    contact_id = fields.Char(required=True)
    phone = fields.Char()
    name = fields.Char()
    pushname = fields.Char()
    display_name = fields.Char(compute=False, store=True)
    wid = fields.Char()
    is_active = fields.Boolean()
    synced_at = fields.Datetime()
    created_at = fields.Datetime()
    updated_at = fields.Datetime()
    provider = fields.Char()
    isWAContact = fields.Boolean()
    is_phone_contact = fields.Boolean()
    is_chat_contact = fields.Boolean()
    configuration_id = fields.Many2one("whatsapp.configuration")
    group_ids = fields.Many2many(
        "whatsapp.group", "whatsapp_group_contact_rel", "contact_id", "group_id"
    )
    locals().update(unique("contact_id_unique", "contact_id"))


class Group(models.Model):
    _name = "whatsapp.group"
    _description = "WhatsApp group"

    group_id = fields.Char()
    name = fields.Char(required=True)
    description = fields.Text()
    metadata = fields.Text()
    is_active = fields.Boolean()
    synced_at = fields.Datetime()
    created_at = fields.Datetime()
    updated_at = fields.Datetime()
    provider = fields.Char()
    configuration_id = fields.Many2one("whatsapp.configuration")
    wid = fields.Char()
    message_count = fields.Integer()
    latest_messages_count = fields.Integer()
    invite_code = fields.Char()
    invite_fetched_at = fields.Datetime()
    participant_ids = fields.Many2many(
        "whatsapp.contact", "whatsapp_group_contact_rel", "group_id", "contact_id"
    )
    locals().update(unique("group_id_unique", "group_id"))


class Message(models.Model):
    _name = "whatsapp.message"
    _description = "WhatsApp message"

    message_id = fields.Char()
    body = fields.Text()
    message_type = fields.Char()
    chat_id = fields.Char(required=True)
    from_me = fields.Boolean()
    timestamp = fields.Integer()
    status = fields.Char()
    error_message = fields.Text()
    created_at = fields.Datetime()
    updated_at = fields.Datetime()
    synced_at = fields.Datetime()
    media_url = fields.Char()
    media_type = fields.Char()
    caption = fields.Text()
    metadata = fields.Text()
    contact_id = fields.Many2one("whatsapp.contact")
    group_id = fields.Many2one("whatsapp.group")
    configuration_id = fields.Many2one("whatsapp.configuration")
    provider = fields.Char()
    wid = fields.Char()
    locals().update(unique("message_id_unique", "message_id"))


class SyncService(models.Model):
    _name = "whatsapp.sync.service"
    _description = "WhatsApp synchronisation"

    name = fields.Char()
    last_sync_time = fields.Datetime()
    sync_status = fields.Char()
    last_sync_message = fields.Text()


class SendMessageWizard(models.TransientModel):
    _name = "whatsapp.send.message.wizard"
    _description = "Send"

    message_type = fields.Char(required=True)
    recipient_id = fields.Many2one("whatsapp.contact")
    group_id = fields.Many2one("whatsapp.group")
    group_ids = fields.Many2many("whatsapp.group")
    phone = fields.Char()
    is_bulk = fields.Boolean()
    message = fields.Text(required=True)
    media_file_name = fields.Char()
    media_caption = fields.Text()
    preview_url = fields.Boolean()


class SyncWizard(models.TransientModel):
    _name = "whatsapp.sync.wizard"
    _description = "Synchronise"

    sync_type = fields.Char(required=True)
    is_syncing = fields.Boolean()
    progress = fields.Float()
    error_messages = fields.Text()


class RemoveMemberWizard(models.TransientModel):
    _name = "whatsapp.remove.member.wizard"
    _description = "Remove"

    contact_id = fields.Many2one("whatsapp.contact", required=True, ondelete="cascade")
    group_ids = fields.Many2many(
        "whatsapp.group", "whatsapp_remove_member_group_rel", "wizard_id", "group_id"
    )
    remove_from_all = fields.Boolean()
    deactivate_contact = fields.Boolean()
