//! Where others name him by number or id: the number is taken out, the rest stays.

use super::{Counts, Person, add};
use crate::{StoreError, Tx};

pub(super) async fn erase(
    tx: &Tx<'_>,
    person: &Person,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [/* accounts */ &person.accounts, /* pattern */ &person.pattern];
    // His own and those to him are emptied as a whole.
    let others: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [params[0], params[1], /* contacts */ &person.contacts];
    // A contact card holds his name too, and the number as people write it.
    let sql = "-- erase::texts::cards
        UPDATE public.whatsapp_message m
        SET content = NULL, caption = NULL, extra = NULL, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE m.configuration_id = ANY($1) AND m.message_type = 'contact'
          AND concat_ws(' ', m.content, m.caption, m.extra) ~ $2 AND (m.contact_id = ANY($3)) IS NOT TRUE";
    add(counts, "whatsapp_message", tx.execute(sql, &others).await?);
    let sql = "-- erase::texts::messages
        UPDATE public.whatsapp_message m
        SET content = regexp_replace(m.content, $2, '[erased]', 'g'),
            caption = regexp_replace(m.caption, $2, '[erased]', 'g'),
            extra = regexp_replace(m.extra, $2, '[erased]', 'g'),
            error_message = regexp_replace(m.error_message, $2, '[erased]', 'g'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE m.configuration_id = ANY($1)
          AND concat_ws(' ', m.content, m.caption, m.extra, m.error_message) ~ $2
          AND (m.contact_id = ANY($3)) IS NOT TRUE";
    add(counts, "whatsapp_message", tx.execute(sql, &others).await?);
    let sql = "-- erase::texts::revisions
        UPDATE public.whatsapp_message_revision r
        SET content = regexp_replace(r.content, $2, '[erased]', 'g'),
            caption = regexp_replace(r.caption, $2, '[erased]', 'g'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_message m
        WHERE m.id = r.message_id AND m.configuration_id = ANY($1) AND concat_ws(' ', r.content, r.caption) ~ $2";
    add(counts, "whatsapp_message_revision", tx.execute(sql, &params).await?);
    let sql = "-- erase::texts::files
        UPDATE public.whatsapp_media f
        SET filename = regexp_replace(f.filename, $2, '[erased]', 'g'),
            reason = regexp_replace(f.reason, $2, '[erased]', 'g'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE concat_ws(' ', f.filename, f.reason) ~ $2
          AND EXISTS (SELECT 1 FROM public.whatsapp_message m
                      WHERE m.media_id = f.id AND m.configuration_id = ANY($1))";
    add(counts, "whatsapp_media", tx.execute(sql, &params).await?);
    let sql = "-- erase::texts::groups
        UPDATE public.whatsapp_group g
        SET name = regexp_replace(g.name, $2, '[erased]', 'g'),
            description = regexp_replace(g.description, $2, '[erased]', 'g'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE g.configuration_id = ANY($1) AND concat_ws(' ', g.name, g.description) ~ $2";
    add(counts, "whatsapp_group", tx.execute(sql, &params).await?);
    let sql = "-- erase::texts::group_facts
        UPDATE wabridge.group_fact f SET value = regexp_replace(f.value, $2, '[erased]', 'g')
        FROM public.whatsapp_group g
        WHERE g.id = f.group_id AND g.configuration_id = ANY($1) AND f.value ~ $2";
    add(counts, "group_fact", tx.execute(sql, &params).await?);
    Ok(())
}
