-- What a second take-over may not change.
SELECT md5(string_agg(t.all_rows, ',' ORDER BY t.name)) FROM (
    SELECT 'message' AS name, md5(string_agg(m::text, ',' ORDER BY m.id)) AS all_rows FROM whatsapp_message m
    UNION ALL SELECT 'contact', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_contact m
    UNION ALL SELECT 'group', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_group m
    UNION ALL SELECT 'member', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_group_member m
    UNION ALL SELECT 'chat', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_chat m
    UNION ALL SELECT 'event', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_event m
    UNION ALL SELECT 'account', md5(string_agg(m::text, ',' ORDER BY m.id)) FROM whatsapp_configuration m
    UNION ALL SELECT 'rights', md5(string_agg(m::text, ',' ORDER BY m.res_groups_id, m.whatsapp_configuration_id)) FROM res_groups_whatsapp_configuration_rel m
    UNION ALL SELECT 'activities', count(*)::text FROM mail_activity
) t;
