//! The values that are sealed: columns of `whatsapp_configuration`, `wabridge.media_blob.sealed_key` and
//! `wabridge.audit_key.sealed_key`.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// Sealed columns of an account: (column, column that its value was sealed for).
pub const ACCOUNT_COLUMNS: [(&str, &str); 8] = [
    ("token", "token"),
    ("webhook_token", "webhook_token"),
    ("webhook_secret", "webhook_secret"),
    ("app_secret", "app_secret"),
    ("verify_token", "verify_token"),
    // Moved aside as they were when something else took their place.
    ("webhook_token_former", "webhook_token"),
    ("webhook_secret_former", "webhook_secret"),
    ("app_secret_former", "app_secret"),
];

/// The column that a value in this one was sealed for.
pub fn sealed_for(column: &str) -> &str {
    ACCOUNT_COLUMNS.iter().find(|(name, _)| *name == column).map_or(column, |(_, origin)| origin)
}

/// How many values of a kind are sealed with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub key_id: String,
    pub credentials: i64,
    pub files: i64,
    /// Keys of the audit log's proof.
    pub audit_keys: i64,
}

impl Count {
    pub fn total(&self) -> i64 {
        self.credentials + self.files + self.audit_keys
    }
}

/// The keys that values are sealed with.
///
/// # Errors
/// The database's.
pub async fn counts(client: &impl GenericClient) -> Result<Vec<Count>, StoreError> {
    let sql = "-- seal::value::counts
        SELECT key_id, sum(credentials)::int8, sum(files)::int8, sum(audit_keys)::int8 FROM (
            SELECT split_part(v.sealed, ':', 2), count(*), 0, 0 FROM public.whatsapp_configuration c CROSS JOIN LATERAL (VALUES
                ('token', c.token), ('webhook_token', c.webhook_token), ('webhook_secret', c.webhook_secret),
                ('app_secret', c.app_secret), ('verify_token', c.verify_token),
                ('webhook_token_former', c.webhook_token_former),
                ('webhook_secret_former', c.webhook_secret_former),
                ('app_secret_former', c.app_secret_former)) AS v(name, sealed)
            WHERE v.sealed LIKE 'wab1:%' GROUP BY 1
            UNION ALL
            SELECT b.sealed_by, 0, count(*), 0 FROM wabridge.media_blob b GROUP BY 1
            UNION ALL
            SELECT split_part(a.sealed_key, ':', 2), 0, 0, count(*) FROM wabridge.audit_key a GROUP BY 1
        ) AS t(key_id, credentials, files, audit_keys) GROUP BY 1 ORDER BY 1";
    let rows = client.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Count {
            key_id: row.get(0),
            credentials: row.get(1),
            files: row.get(2),
            audit_keys: row.get(3),
        })
        .collect())
}

/// A sealed column of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub configuration_id: i32,
    pub name: Option<String>,
    pub seal_uuid: Option<String>,
    pub column: String,
    pub sealed: String,
}

/// The credentials that are sealed with another key than this one.
///
/// # Errors
/// The database's.
pub async fn credentials_not_with(
    client: &impl GenericClient,
    key_id: &str,
) -> Result<Vec<Credential>, StoreError> {
    let sql = "-- seal::value::credentials_not_with
        SELECT c.id, c.name, c.seal_uuid, v.name, v.sealed FROM public.whatsapp_configuration c CROSS JOIN LATERAL (VALUES
                ('token', c.token), ('webhook_token', c.webhook_token), ('webhook_secret', c.webhook_secret),
                ('app_secret', c.app_secret), ('verify_token', c.verify_token),
                ('webhook_token_former', c.webhook_token_former),
                ('webhook_secret_former', c.webhook_secret_former),
                ('app_secret_former', c.app_secret_former)) AS v(name, sealed)
        WHERE v.sealed LIKE 'wab1:%' AND split_part(v.sealed, ':', 2) <> $1
        ORDER BY c.id, v.name";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* key_id */ &key_id]).await?;
    Ok(rows
        .iter()
        .map(|row| Credential {
            configuration_id: row.get(0),
            name: row.get(1),
            seal_uuid: row.get(2),
            column: row.get(3),
            sealed: row.get(4),
        })
        .collect())
}

/// Puts `new` in the place of what was read; false where somebody holds the row or changed the value.
///
/// # Errors
/// The database's; `Other` for a column that is not sealed.
pub async fn swap_credential(
    client: &impl GenericClient,
    read: &Credential,
    new: &str,
) -> Result<bool, StoreError> {
    let known = ACCOUNT_COLUMNS.iter().find(|(column, _)| *column == read.column);
    let Some((column, _)) = known else {
        return Err(StoreError::Other(format!("{} is no sealed column", read.column)));
    };
    // Skips a row that Odoo is writing: whoever writes it stores a value of its own, or the next round comes.
    let sql = format!(
        "-- seal::value::swap_credential
        UPDATE public.whatsapp_configuration t SET {column} = $3, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE t.id = (SELECT c.id FROM public.whatsapp_configuration c WHERE c.id = $1 AND c.{column} = $2
                      FOR NO KEY UPDATE SKIP LOCKED) AND t.{column} = $2"
    );
    let changed = client
        .execute(
            &sql,
            &[
                /* id */ &read.configuration_id,
                /* old */ &read.sealed,
                /* new */ &new,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// The sealed key of a stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileKey {
    pub checksum: String,
    pub sealed: String,
}

/// Keys of files that are sealed with another key than this one, `limit` at most, after a checksum.
///
/// # Errors
/// The database's.
pub async fn files_not_with(
    client: &impl GenericClient,
    key_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<FileKey>, StoreError> {
    // Two ranges, not `<>`: the index on sealed_by finds nothing quickly where nothing is left.
    let sql = "-- seal::value::files_not_with
        SELECT b.checksum, b.sealed_key FROM wabridge.media_blob b
        WHERE (b.sealed_by < $1 OR b.sealed_by > $1) AND b.checksum > $2 ORDER BY b.checksum LIMIT $3";
    let rows =
        client.query(sql, &[/* key_id */ &key_id, /* after */ &after, /* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| FileKey { checksum: row.get(0), sealed: row.get(1) }).collect())
}

/// Puts new values in the place of those that were read, (read, new); how many were as they were read.
///
/// # Errors
/// The database's.
pub async fn swap_files(
    client: &impl GenericClient,
    key_id: &str,
    swaps: &[(FileKey, String)],
) -> Result<u64, StoreError> {
    let sql = "-- seal::value::swap_files
        WITH s AS (SELECT s.checksum, s.old, s.new FROM unnest($2::text[], $3::text[], $4::text[]) AS s(checksum, old, new)),
        held AS MATERIALIZED (
            SELECT b.checksum FROM wabridge.media_blob b WHERE b.checksum = ANY($2)
            ORDER BY b.checksum FOR NO KEY UPDATE)
        UPDATE wabridge.media_blob b SET sealed_by = $1, sealed_key = s.new
        FROM s, held WHERE b.checksum = s.checksum AND held.checksum = s.checksum AND b.sealed_key = s.old";
    let changed = client
        .execute(
            sql,
            &[
                /* key_id */ &key_id,
                /* checksums */
                &swaps.iter().map(|(file, _)| file.checksum.as_str()).collect::<Vec<_>>(),
                /* old */
                &swaps.iter().map(|(file, _)| file.sealed.as_str()).collect::<Vec<_>>(),
                /* new */ &swaps.iter().map(|(_, new)| new.as_str()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(changed)
}

/// Keys of the audit log's proof that are sealed with another key than this one: (id, sealed).
///
/// # Errors
/// The database's.
pub async fn audit_keys_not_with(
    client: &impl GenericClient,
    key_id: &str,
) -> Result<Vec<(i32, String)>, StoreError> {
    let sql = "-- seal::value::audit_keys_not_with
        SELECT id, sealed_key FROM wabridge.audit_key
        WHERE split_part(sealed_key, ':', 2) <> $1 ORDER BY id";
    let rows = client.query(sql, &[/* key_id */ &key_id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Puts a new value in the place of the one that was read; false where it was changed meanwhile.
///
/// # Errors
/// The database's.
pub async fn swap_audit_key(
    client: &impl GenericClient,
    id: i32,
    old: &str,
    new: &str,
) -> Result<bool, StoreError> {
    let sql = "-- seal::value::swap_audit_key
        UPDATE wabridge.audit_key SET sealed_key = $3 WHERE id = $1 AND sealed_key = $2";
    let changed = client.execute(sql, &[/* id */ &id, /* old */ &old, /* new */ &new]).await?;
    Ok(changed == 1)
}

/// The accounts whose state has a reason that begins so.
///
/// # Errors
/// The database's.
pub async fn accounts_that_say(
    client: &impl GenericClient,
    start: &str,
) -> Result<Vec<i32>, StoreError> {
    let sql = "-- seal::value::accounts_that_say
        SELECT configuration_id FROM public.whatsapp_account_state
        WHERE starts_with(reason, $1) ORDER BY configuration_id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* start */ &start]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
