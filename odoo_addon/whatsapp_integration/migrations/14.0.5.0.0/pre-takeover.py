from odoo.addons.whatsapp_integration import takeover


def migrate(cr, version):
    """Rows of the older addon become rows of this one, where there are any."""
    takeover.before(cr)
