//! Rows that are his: messages with him become husks, everything else goes.

use super::{Counts, Person, add};
use crate::{StoreError, Tx};

type Param<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// Everything but the contacts themselves. Returns the locations of files that nobody uses any more.
pub(super) async fn erase(
    tx: &Tx<'_>,
    person: &Person,
    counts: &mut Counts,
) -> Result<Vec<String>, StoreError> {
    quiet(tx, person).await?;
    let chats = chats(tx, person).await?;
    let messages = messages(tx, person, &chats).await?;
    let files = own_files(tx, &messages).await?;
    outbox(tx, person, &messages, counts).await?;
    husks(tx, &messages, counts).await?;
    beside(tx, person, &messages, &chats, counts).await?;
    names(tx, person, counts).await?;
    told(tx, person, &messages, counts).await?;
    remove_files(tx, &files, counts).await
}

/// Nothing of his lanes is at a provider while this goes on.
async fn quiet(tx: &Tx<'_>, person: &Person) -> Result<(), StoreError> {
    let sql = "-- erase::rows::quiet
        SELECT l.in_flight IS NOT NULL FROM wabridge.lane l
        WHERE l.configuration_id = ANY($1) AND (l.chat_key = ANY($2) OR l.chat_key ~ $3)
        ORDER BY l.configuration_id, l.chat_key FOR UPDATE";
    let params: [Param<'_>; 3] = [
        /* accounts */ &person.accounts,
        /* names */ &person.names,
        /* pattern */ &person.pattern,
    ];
    if tx.query(sql, &params).await?.iter().any(|row| row.get(0)) {
        return Err(StoreError::Busy("a message to this person is being sent".into()));
    }
    Ok(())
}

/// (account, provider's id) of his direct chats are his; the row ids.
async fn chats(tx: &Tx<'_>, person: &Person) -> Result<Vec<(i32, i32, String)>, StoreError> {
    let sql = "-- erase::rows::chats
        SELECT c.id, c.configuration_id, c.chat_id FROM public.whatsapp_chat c
        WHERE c.configuration_id = ANY($1) AND c.group_id IS NULL
          AND (c.contact_id = ANY($2) OR c.chat_id = ANY($3) OR c.chat_id ~ $4)
        ORDER BY c.id";
    let params: [Param<'_>; 4] = [
        /* accounts */ &person.accounts,
        /* contacts */ &person.contacts,
        /* names */ &person.names,
        /* pattern */ &person.pattern,
    ];
    let rows = tx.query(sql, &params).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// Messages of his direct chats, what he wrote in groups, and what was handed over for him and has no chat yet.
async fn messages(
    tx: &Tx<'_>,
    person: &Person,
    chats: &[(i32, i32, String)],
) -> Result<Vec<i32>, StoreError> {
    let sql = "-- erase::rows::messages
        SELECT m.id FROM public.whatsapp_message m
        WHERE m.configuration_id = ANY($1)
          AND (m.contact_id = ANY($2)
               OR (m.configuration_id, m.chat_id) IN (SELECT * FROM unnest($3::int4[], $4::text[]))
               OR m.id IN (SELECT o.message_id FROM public.whatsapp_outbox_in o
                           WHERE o.configuration_id = ANY($1)
                             AND (o.recipient = ANY($5) OR regexp_replace(o.recipient, '[^0-9]', '', 'g') = ANY($5))))
        ORDER BY m.id FOR UPDATE";
    let accounts: Vec<i32> = chats.iter().map(|chat| chat.1).collect();
    let ids: Vec<&str> = chats.iter().map(|chat| chat.2.as_str()).collect();
    let params: [Param<'_>; 5] = [
        /* accounts */ &person.accounts,
        /* contacts */ &person.contacts,
        /* chat accounts */ &accounts,
        /* chat ids */ &ids,
        /* names */ &person.names,
    ];
    Ok(tx.query(sql, &params).await?.iter().map(|row| row.get(0)).collect())
}

/// Files that no other message shows.
async fn own_files(tx: &Tx<'_>, messages: &[i32]) -> Result<Vec<i32>, StoreError> {
    let sql = "-- erase::rows::own_files
        SELECT DISTINCT m.media_id FROM public.whatsapp_message m
        WHERE m.id = ANY($1) AND m.media_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_message o
                          WHERE o.media_id = m.media_id AND NOT o.id = ANY($1))";
    let rows = tx.query(sql, &[/* messages */ &messages]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What was still to be sent is not.
async fn outbox(
    tx: &Tx<'_>,
    person: &Person,
    messages: &[i32],
    counts: &mut Counts,
) -> Result<(), StoreError> {
    for (table, sql) in [
        (
            "outbox",
            "-- erase::rows::outbox
            DELETE FROM wabridge.outbox o WHERE o.message_id = ANY($1)",
        ),
        (
            "whatsapp_outbox_in",
            "-- erase::rows::outbox_in
            DELETE FROM public.whatsapp_outbox_in o WHERE o.message_id = ANY($1)",
        ),
        (
            "whatsapp_media_upload",
            "-- erase::rows::media_upload
            DELETE FROM public.whatsapp_media_upload u WHERE u.message_id = ANY($1)",
        ),
        (
            "attempt",
            "-- erase::rows::attempts
            DELETE FROM wabridge.attempt a WHERE a.message_id = ANY($1)",
        ),
        (
            "message_edit",
            "-- erase::rows::edits
            DELETE FROM wabridge.message_edit e WHERE e.message_id = ANY($1)",
        ),
        (
            "whatsapp_message_revision",
            "-- erase::rows::revisions
            DELETE FROM public.whatsapp_message_revision r WHERE r.message_id = ANY($1)",
        ),
    ] {
        add(counts, table, tx.execute(sql, &[/* messages */ &messages]).await?);
    }
    let sql = "-- erase::rows::lanes
        DELETE FROM wabridge.lane l
        WHERE l.configuration_id = ANY($1) AND (l.chat_key = ANY($2) OR l.chat_key ~ $3)
          AND NOT EXISTS (SELECT 1 FROM wabridge.outbox o
                          WHERE o.configuration_id = l.configuration_id AND o.chat_key = l.chat_key)";
    let params: [Param<'_>; 3] = [
        /* accounts */ &person.accounts,
        /* names */ &person.names,
        /* pattern */ &person.pattern,
    ];
    add(counts, "lane", tx.execute(sql, &params).await?);
    Ok(())
}

/// Type, direction, status and times stay; nobody can tell any more with whom or what.
async fn husks(tx: &Tx<'_>, messages: &[i32], counts: &mut Counts) -> Result<(), StoreError> {
    let sql = "-- erase::rows::husks
        UPDATE public.whatsapp_message m
        SET content = NULL, caption = NULL, location = NULL, extra = NULL, error_message = NULL, message_id = NULL,
            contact_id = NULL, media_id = NULL, res_model = NULL, res_id = NULL,
            chat_id = CASE WHEN m.group_id IS NULL THEN NULL ELSE m.chat_id END,
            status = CASE WHEN m.status = 'queued' THEN 'cancelled' ELSE m.status END,
            cancelled_at = CASE WHEN m.status = 'queued' THEN date_trunc('second', now() AT TIME ZONE 'UTC')
                                ELSE m.cancelled_at END,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE m.id = ANY($1)";
    add(counts, "whatsapp_message", tx.execute(sql, &[/* messages */ &messages]).await?);
    Ok(())
}

/// Chats, receipts, memberships, campaigns.
async fn beside(
    tx: &Tx<'_>,
    person: &Person,
    messages: &[i32],
    chats: &[(i32, i32, String)],
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let sql = "-- erase::rows::receipts
        DELETE FROM public.whatsapp_message_receipt r WHERE r.message_id = ANY($1) OR r.contact_id = ANY($2)";
    let params: [Param<'_>; 2] =
        [/* messages */ &messages, /* contacts */ &person.contacts];
    add(counts, "whatsapp_message_receipt", tx.execute(sql, &params).await?);
    let ids: Vec<i32> = chats.iter().map(|chat| chat.0).collect();
    let sql = "-- erase::rows::chat_facts
        DELETE FROM wabridge.chat_fact f WHERE f.chat_id = ANY($1)";
    add(counts, "chat_fact", tx.execute(sql, &[/* chats */ &ids]).await?);
    let sql = "-- erase::rows::delete_chats
        DELETE FROM public.whatsapp_chat c WHERE c.id = ANY($1)";
    add(counts, "whatsapp_chat", tx.execute(sql, &[/* chats */ &ids]).await?);
    let sql = "-- erase::rows::members
        DELETE FROM public.whatsapp_group_member g WHERE g.contact_id = ANY($1)";
    let contacts: [Param<'_>; 1] = [/* contacts */ &person.contacts];
    add(counts, "whatsapp_group_member", tx.execute(sql, &contacts).await?);
    let sql = "-- erase::rows::member_facts
        DELETE FROM wabridge.member_fact f WHERE f.contact_id = ANY($1)";
    add(counts, "member_fact", tx.execute(sql, &contacts).await?);
    // Odoo's row: the campaign's figures stay.
    let sql = "-- erase::rows::campaigns
        UPDATE public.whatsapp_bulk_campaign_recipient r
        SET name = NULL, number = NULL, given = NULL, content = NULL, detail = NULL, res_model = NULL, res_id = NULL,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_bulk_campaign b
        WHERE b.id = r.campaign_id AND b.configuration_id = ANY($1)
          AND (r.message_id = ANY($2) OR concat_ws(' ', r.number, r.content) ~ $3
               OR regexp_replace(r.given, '[^0-9]', '', 'g') = ANY($4))";
    let params: [Param<'_>; 4] = [
        /* accounts */ &person.accounts,
        /* messages */ &messages,
        /* pattern */ &person.pattern,
        /* names */ &person.names,
    ];
    add(counts, "whatsapp_bulk_campaign_recipient", tx.execute(sql, &params).await?);
    Ok(())
}

/// Everything of schema wabridge that stands under one of his names.
async fn names(tx: &Tx<'_>, person: &Person, counts: &mut Counts) -> Result<(), StoreError> {
    let named: [Param<'_>; 3] = [
        /* accounts */ &person.accounts,
        /* names */ &person.names,
        /* pattern */ &person.pattern,
    ];
    for (table, sql) in [
        (
            "early_event",
            "-- erase::rows::early_events
            DELETE FROM wabridge.early_event e
            WHERE e.configuration_id = ANY($1)
              AND (e.member = ANY($2) OR e.chat_key = ANY($2)
                   OR concat_ws(' ', e.target_id, e.member, e.chat_key, e.payload::text, e.error_message) ~ $3)",
        ),
        (
            "number_form",
            "-- erase::rows::number_forms
            DELETE FROM wabridge.number_form f
            WHERE f.configuration_id = ANY($1)
              AND (f.number = ANY($2) OR f.form = ANY($2) OR concat_ws(' ', f.number, f.form) ~ $3)",
        ),
        (
            "group_invitation",
            "-- erase::rows::invitations
            DELETE FROM wabridge.group_invitation i
            WHERE i.configuration_id = ANY($1) AND (i.contact_id = ANY($2) OR concat_ws(' ', i.contact_id, i.reason) ~ $3)",
        ),
        (
            "group_call",
            "-- erase::rows::group_calls
            DELETE FROM wabridge.group_call c
            WHERE (c.configuration_id = ANY($1) OR c.configuration_id IS NULL)
              AND (c.key = ANY($2) OR concat_ws(' ', c.key, c.answer::text, c.progress::text) ~ $3)",
        ),
        (
            "group_request",
            "-- erase::rows::group_requests
            UPDATE wabridge.group_request r SET reason = NULL
            WHERE r.configuration_id = ANY($1) AND (r.reason = ANY($2) OR r.reason ~ $3)",
        ),
        (
            "attempt",
            "-- erase::rows::attempts_of_chats
            DELETE FROM wabridge.attempt a
            WHERE a.configuration_id = ANY($1) AND (a.chat_key = ANY($2) OR a.chat_key ~ $3)",
        ),
        (
            "sync_step",
            "-- erase::rows::cursors
            UPDATE wabridge.sync_step s SET cursor = NULL
            FROM wabridge.sync_run r
            WHERE r.run_id = s.run_id AND r.configuration_id = ANY($1) AND (s.cursor = ANY($2) OR s.cursor ~ $3)",
        ),
        (
            "consent",
            "-- erase::rows::consent
            DELETE FROM wabridge.consent c
            WHERE c.company_id IN (SELECT coalesce(a.company_id, 0) FROM public.whatsapp_configuration a
                                   WHERE a.id = ANY($1))
              AND (c.person = ANY($2) OR c.person ~ $3)",
        ),
        (
            "consent_change",
            "-- erase::rows::consent_changes
            DELETE FROM wabridge.consent_change c
            WHERE c.company_id IN (SELECT coalesce(a.company_id, 0) FROM public.whatsapp_configuration a
                                   WHERE a.id = ANY($1))
              AND (c.person = ANY($2) OR c.person ~ $3)",
        ),
        (
            "idempotency",
            "-- erase::rows::keys
            DELETE FROM wabridge.idempotency i
            WHERE (i.key = ANY($2) OR i.key ~ $3)
              AND EXISTS (SELECT 1 FROM public.whatsapp_message m
                          WHERE m.id = i.message_id AND m.configuration_id = ANY($1))",
        ),
    ] {
        add(counts, table, tx.execute(sql, &named).await?);
    }
    Ok(())
}

/// What was told of him elsewhere: decisions, events for Odoo's code, lists of synchronisations.
async fn told(
    tx: &Tx<'_>,
    person: &Person,
    messages: &[i32],
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let sql = "-- erase::rows::decisions
        DELETE FROM wabridge.decision d WHERE d.message_id = ANY($1) OR d.parameters::text ~ $2";
    let params: [Param<'_>; 2] =
        [/* messages */ &messages, /* pattern */ &person.pattern];
    add(counts, "decision", tx.execute(sql, &params).await?);
    let sql = "-- erase::rows::events
        DELETE FROM public.whatsapp_event e
        WHERE (e.configuration_id = ANY($1) OR e.configuration_id IS NULL)
          AND (e.message_id = ANY($2) OR e.payload ~ $3)";
    let params: [Param<'_>; 3] = [
        /* accounts */ &person.accounts,
        /* messages */ &messages,
        /* pattern */ &person.pattern,
    ];
    add(counts, "whatsapp_event", tx.execute(sql, &params).await?);
    let sql = "-- erase::rows::sync_items
        DELETE FROM public.whatsapp_sync_run_item i
        USING public.whatsapp_sync_run r
        WHERE r.id = i.run_id AND r.configuration_id = ANY($1)
          AND (concat_ws(' ', i.name, i.provider_value, i.odoo_value, i.reason) ~ $2
               OR (i.kind = 'contacts' AND i.res_id = ANY($3))
               OR i.name = ANY($4) OR i.name = ANY($5) OR i.provider_value = ANY($5) OR i.odoo_value = ANY($5))";
    let params: [Param<'_>; 5] = [
        /* accounts */ &person.accounts,
        /* pattern */ &person.pattern,
        /* contacts */ &person.contacts,
        /* names */ &person.names,
        /* labels */ &person.labels,
    ];
    add(counts, "whatsapp_sync_run_item", tx.execute(sql, &params).await?);
    Ok(())
}

async fn remove_files(
    tx: &Tx<'_>,
    files: &[i32],
    counts: &mut Counts,
) -> Result<Vec<String>, StoreError> {
    let sql = "-- erase::rows::checksums
        SELECT DISTINCT f.checksum FROM public.whatsapp_media f
        WHERE f.id = ANY($1) AND f.checksum IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_media o
                          WHERE o.checksum = f.checksum AND NOT o.id = ANY($1))";
    let rows = tx.query(sql, &[/* files */ &files]).await?;
    let checksums: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for (table, sql) in [
        (
            "media_fetch",
            "-- erase::rows::fetches
            DELETE FROM wabridge.media_fetch f WHERE f.media_id = ANY($1)",
        ),
        (
            "media_upload",
            "-- erase::rows::uploads
            DELETE FROM wabridge.media_upload u WHERE u.media_id = ANY($1)",
        ),
        (
            "whatsapp_media",
            "-- erase::rows::files
            DELETE FROM public.whatsapp_media f WHERE f.id = ANY($1)",
        ),
    ] {
        add(counts, table, tx.execute(sql, &[/* files */ &files]).await?);
    }
    let sql = "-- erase::rows::at_provider
        DELETE FROM wabridge.media_at_provider p WHERE p.checksum = ANY($1)";
    add(counts, "media_at_provider", tx.execute(sql, &[/* checksums */ &checksums]).await?);
    let sql = "-- erase::rows::blobs
        DELETE FROM wabridge.media_blob b WHERE b.checksum = ANY($1) RETURNING b.location";
    let rows = tx.query(sql, &[/* checksums */ &checksums]).await?;
    add(counts, "media_blob", rows.len() as u64);
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// His own rows, last; (account, row id).
pub(super) async fn contacts(
    tx: &Tx<'_>,
    person: &Person,
    counts: &mut Counts,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let contacts: [Param<'_>; 1] = [/* contacts */ &person.contacts];
    let sql = "-- erase::rows::contact_facts
        DELETE FROM wabridge.contact_fact f WHERE f.contact_id = ANY($1)";
    add(counts, "contact_fact", tx.execute(sql, &contacts).await?);
    let sql = "-- erase::rows::identity
        DELETE FROM wabridge.identity i
        WHERE i.contact_id = ANY($1) OR (i.configuration_id = ANY($2) AND i.value = ANY($3) AND i.kind <> 'username')";
    let params: [Param<'_>; 3] =
        [contacts[0], /* accounts */ &person.accounts, /* names */ &person.names];
    add(counts, "identity", tx.execute(sql, &params).await?);
    let sql = "-- erase::rows::contacts
        DELETE FROM public.whatsapp_contact c WHERE c.id = ANY($1) RETURNING c.configuration_id, c.id";
    let rows = tx.query(sql, &contacts).await?;
    add(counts, "whatsapp_contact", rows.len() as u64);
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
