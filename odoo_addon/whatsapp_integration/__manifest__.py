{
    "name": "WhatsApp Integration",
    "summary": "Send and receive WhatsApp messages in Odoo through the wabridge daemon",
    # Odoo puts the series in front of it: one source serves 14 and 19.
    "version": "5.0.0",
    "category": "Discuss",
    "author": "wabridge",
    "license": "LGPL-3",
    "application": True,
    "depends": ["base_setup", "bus", "mail", "phone_validation"],
    # Enterprise's app owns whatsapp.message too.
    "excludes": ["whatsapp"],
    "external_dependencies": {"python": ["phonenumbers", "qrcode", "requests"]},
    "data": [
        "security/whatsapp_groups.xml",
        "security/ir.model.access.csv",
        "security/whatsapp_rules.xml",
        "views/whatsapp_views.xml",
        "views/whatsapp_menus.xml",
        "views/whatsapp_group_menus.xml",
        "data/whatsapp_jobs.xml",
    ],
    # Read by 19 alone; 14 takes the same files from views/whatsapp_assets_14.xml.
    "assets": {
        "web.assets_backend": [
            "whatsapp_integration/static/src/css/whatsapp.css",
            "whatsapp_integration/static/src/css/inbox.css",
            "whatsapp_integration/static/src/css/send.css",
            "whatsapp_integration/static/src/css/sync.css",
            "whatsapp_integration/static/src/js/live.js",
            "whatsapp_integration/static/src/js/live_19.js",
            "whatsapp_integration/static/src/js/batches.js",
            "whatsapp_integration/static/src/js/batches_19.js",
            "whatsapp_integration/static/src/js/inbox_model.js",
            "whatsapp_integration/static/src/js/inbox_extra.js",
            "whatsapp_integration/static/src/js/inbox_message.js",
            "whatsapp_integration/static/src/js/inbox_chats.js",
            "whatsapp_integration/static/src/js/inbox_thread.js",
            "whatsapp_integration/static/src/js/inbox_composer.js",
            "whatsapp_integration/static/src/js/inbox.js",
            "whatsapp_integration/static/src/js/inbox_19.js",
        ],
    },
}
