-- Users: 1 the system (inactive), 2 a WhatsApp administrator, 5 a WhatsApp user, 6 without WhatsApp.
INSERT INTO res_partner (id, name, active) VALUES (1, 'My Company', true), (2, 'System', false), (3, 'Administrator', true), (7, 'Uma User', true), (8, 'Otto Other', true);
INSERT INTO res_company (id, name, partner_id, currency_id) VALUES (1, 'My Company', 1, 1);
INSERT INTO res_users (id, login, active, share, partner_id, company_id, notification_type) VALUES (1, '__system__', false, false, 2, 1, 'email'), (2, 'admin', true, false, 3, 1, 'email'), (5, 'user', true, false, 7, 1, 'email'), (6, 'other', true, false, 8, 1, 'email');
INSERT INTO res_company_users_rel (cid, user_id) VALUES (1, 1), (1, 2), (1, 5), (1, 6);
INSERT INTO ir_model_data (module, name, model, res_id, noupdate) VALUES ('base', 'group_user', 'res.groups', 1, false), ('whatsapp_integration', 'group_whatsapp_user', 'res.groups', 2, false), ('whatsapp_integration', 'group_whatsapp_admin', 'res.groups', 3, false);
INSERT INTO ir_config_parameter (key, value) VALUES ('database.uuid', '4f3c2b1a-0000-4000-8000-000000000001');
INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid, pace_per_second, conflict_policy, uncertain_policy) VALUES (1, 'Acme Support', 'whapi', 'HERON-K42QX', true, 10, 1, '4f3c2b1a-0000-4000-8000-0000000000a1', 0, 'newest', 'hold');
INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id) VALUES (1, 5);
