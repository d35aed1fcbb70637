"""Who may do what over Odoo's RPC: one line for each model and each public method of the addon.

A model or method without its line fails the tests: whoever adds one says here who may use it.
"""

# Whose rows these are.
ACCOUNT = (
    "account"  # of an account: seen by who may use it, administrators those of their companies
)
OWN = "own"  # of a wizard: seen by who made them
NONE = "none"  # no table: nothing can be done with it as with a table

# Rights: r read (search, names, groups and export too), c create (and copy), w write, u unlink.
# model: (whose rows, users' rights, administrators' rights)
MODELS = {
    "whatsapp.account.state": (ACCOUNT, "r", "r"),
    "whatsapp.audit.log": (ACCOUNT, "", "r"),
    "whatsapp.bulk.campaign": (ACCOUNT, "rcwu", "rcwu"),
    "whatsapp.bulk.campaign.recipient": (ACCOUNT, "r", "r"),
    "whatsapp.bulk.send.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.change.message.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.chat": (ACCOUNT, "r", "r"),
    "whatsapp.configuration": (ACCOUNT, "r", "rcwu"),
    "whatsapp.contact": (ACCOUNT, "rw", "rw"),
    "whatsapp.contact.check.line": (OWN, "rcw", "rcw"),
    "whatsapp.contact.check.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.contact.partner.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.core.service": (NONE, "", ""),
    "whatsapp.edited.name.mixin": (NONE, "", ""),
    "whatsapp.event": (ACCOUNT, "", "r"),
    "whatsapp.group": (ACCOUNT, "rw", "rw"),
    "whatsapp.group.add.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.group.bulk.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.group.create.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.group.edit.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.group.invitation": (ACCOUNT, "r", "r"),
    "whatsapp.group.join.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.group.member": (ACCOUNT, "r", "r"),
    "whatsapp.group.people": (NONE, "", ""),
    "whatsapp.group.remove.wizard": (OWN, "", "rcw"),
    "whatsapp.group.result": (OWN, "rcwu", "rcwu"),
    "whatsapp.guarded.links.mixin": (NONE, "", ""),
    "whatsapp.label.mixin": (NONE, "", ""),
    "whatsapp.loader": (NONE, "", ""),
    "whatsapp.media": (ACCOUNT, "r", "r"),
    "whatsapp.media.upload": (ACCOUNT, "", "r"),
    "whatsapp.message": (ACCOUNT, "r", "r"),
    "whatsapp.message.receipt": (ACCOUNT, "r", "r"),
    "whatsapp.message.revision": (ACCOUNT, "r", "r"),
    "whatsapp.message.template": (ACCOUNT, "r", "rcwu"),
    "whatsapp.message.template.preview": (OWN, "rcw", "rcw"),
    "whatsapp.message.template.sync": (OWN, "", "rcw"),
    "whatsapp.message.template.variable": (ACCOUNT, "r", "rcwu"),
    "whatsapp.message.why": (OWN, "rcw", "rcw"),
    "whatsapp.outbox.in": (ACCOUNT, "", "r"),
    "whatsapp.partner.number": (ACCOUNT, "", "r"),
    "whatsapp.quarantine": (ACCOUNT, "", "r"),
    "whatsapp.quarantine.body": (OWN, "", "rcw"),
    "whatsapp.send.message.wizard": (OWN, "rcw", "rcw"),
    "whatsapp.set.credentials.wizard": (OWN, "", "rcw"),
    "whatsapp.sync.run": (ACCOUNT, "r", "r"),
    "whatsapp.sync.run.item": (ACCOUNT, "r", "r"),
    "whatsapp.sync.service": (ACCOUNT, "r", "rcwu"),
    "whatsapp.sync.wizard": (OWN, "rcw", "rcw"),
}

# What nobody creates, changes or removes over RPC: people's history and the daemon's own rows.
# Of contacts and groups people change one column, the name.
HISTORY = (
    "whatsapp.account.state",
    "whatsapp.audit.log",
    "whatsapp.bulk.campaign.recipient",
    "whatsapp.chat",
    "whatsapp.event",
    "whatsapp.group.invitation",
    "whatsapp.group.member",
    "whatsapp.media",
    "whatsapp.media.upload",
    "whatsapp.message",
    "whatsapp.message.receipt",
    "whatsapp.message.revision",
    "whatsapp.outbox.in",
    "whatsapp.partner.number",
    "whatsapp.quarantine",
    "whatsapp.sync.run",
    "whatsapp.sync.run.item",
)
