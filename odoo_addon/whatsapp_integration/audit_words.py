"""What the words of `whatsapp.audit.log.operation` mean, for people (docs/PROTOCOL.md lists them)."""

from .series import translator


def _(source):
    """Marks a term for the export; it is translated where it is used."""
    return source


OPERATIONS = {
    "message.send": _("Send a message"),
    "message.send_bulk": _("Send messages"),
    "message.retry": _("Send again"),
    "message.cancel": _("Cancel a message"),
    "message.react": _("React to a message"),
    "message.edit": _("Edit a message"),
    "message.delete": _("Delete a message"),
    "message.mark_read": _("Mark a chat as read"),
    "message.explain": _("Explain a message"),
    "message.status": _("Look up a message"),
    "group.create": _("Create a group"),
    "group.info": _("Read a group"),
    "group.update": _("Change a group"),
    "group.add": _("Add to a group"),
    "group.remove": _("Remove from a group"),
    "group.remove_everywhere": _("Remove from all groups"),
    "group.promote": _("Make a group administrator"),
    "group.demote": _("Take a group administrator's rights"),
    "group.invite_link": _("Fetch an invite link"),
    "group.revoke_invite": _("Revoke an invite link"),
    "group.join": _("Join a group"),
    "group.leave": _("Leave a group"),
    "contact.check": _("Ask who is on WhatsApp"),
    "contact.refresh": _("Read contacts anew"),
    "contact.block": _("Block or unblock a contact"),
    "contact.opt_out": _("Opt a contact out"),
    "contact.opt_in": _("Opt a contact in"),
    "contact.erase": _("Erase personal data"),
    "stats.summary": _("Read the figures"),
    "sync.start": _("Start a synchronisation"),
    "sync.run": _("A synchronisation ended"),
    "sync.cancel": _("Cancel a synchronisation"),
    "sync.status": _("Look up a synchronisation"),
    "template.sync": _("Fetch templates"),
    "template.validate": _("Check a template"),
    "media.fetch_again": _("Fetch a file again"),
    "journal.replay": _("Replay received webhooks"),
    "journal.show": _("Show a received webhook"),
    "configuration.seal": _("Seal a credential"),
    "configuration.test": _("Test a connection"),
    "configuration.register_webhook": _("Register a webhook"),
    "credential.change": _("Change a credential"),
    "keys.rotate": _("Rotate the sealing key"),
    "keys.retire": _("Retire a sealing key"),
    "audit.verify": _("Check the audit log"),
    "audit.retention": _("Remove old audit rows"),
    "audit.new_key": _("Begin a new audit key"),
    "database.adopt": _("Adopt a copied database"),
    "database.neutralize": _("Neutralize a copied database"),
    "database.detach": _("Detach the database"),
    "database.attach": _("Attach the database"),
    "database.export": _("Export the messages"),
    "database.drop": _("Remove the bridge's schema"),
    "rpc.refused": _("Refused call"),
    "rpc.unauthenticated": _("Calls without a valid signature"),
    "webhook.unauthenticated": _("Webhooks without a valid secret"),
}


def operation_label(env, word):
    """The operation for people; a word of a newer daemon stays as it is."""
    label = OPERATIONS.get(word)
    return translator(env)(label) if label else word
