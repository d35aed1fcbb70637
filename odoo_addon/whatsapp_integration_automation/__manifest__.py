{
    "name": "WhatsApp Integration: automation rules",
    "summary": "Runs automation rules when WhatsApp messages arrive or change",
    # Odoo puts the series in front of it: one source serves 14 and 19.
    "version": "5.0.0",
    "category": "Discuss",
    "author": "wabridge",
    "license": "LGPL-3",
    "depends": ["whatsapp_integration", "base_automation"],
    "auto_install": True,
    "data": [],
}
