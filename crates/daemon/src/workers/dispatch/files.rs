//! Files of sends that are due: only a send whose file lies at the provider may go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_domain::media::MediaKind;
use wabridge_domain::message::MessageType;
use wabridge_domain::outgoing::UploadedFile;
use wabridge_store::media_at_provider::{self as files, Known};
use wabridge_store::odoo::message_out::{self, Rejection};
use wabridge_store::outbox::{self, Head};
use wabridge_store::{StoreError, Tx};

use crate::accounts::Account;
use crate::runtime::Runtime;

/// A file that the provider forgets sooner is uploaded again before it is named.
const MARGIN: Duration = Duration::from_secs(3600);
/// A lane looks again after this; the end of an upload wakes it before.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The heads that may go, with their files; true when others were set aside. The caller holds the lanes.
pub(super) async fn sort_out(
    tx: &Tx<'_>,
    rt: &Runtime,
    account: &Arc<Account>,
    heads: Vec<Head>,
) -> Result<(Vec<(Head, Option<UploadedFile>)>, bool), StoreError> {
    let named = |head: &Head| {
        let content = serde_json::from_value::<Content>(head.request.clone()).ok()?;
        Some((content.file()?.id, content.message_type()))
    };
    let all: Vec<(i32, MessageType)> = heads.iter().filter_map(named).collect();
    if all.is_empty() {
        return Ok((heads.into_iter().map(|head| (head, None)).collect(), false));
    }
    let headers: Vec<i32> =
        all.iter().filter(|(_, of)| *of == MessageType::Template).map(|(id, _)| *id).collect();
    let types = match headers.as_slice() {
        [] => HashMap::new(),
        headers => files::mimetypes(tx, headers).await?,
    };
    let kind = |(id, of): (i32, MessageType)| {
        let mimetype = types.get(&id).map_or("", String::as_str);
        (id, MediaKind::of_file(of, mimetype))
    };
    let media = |head: &Head| named(head).map(kind);
    let wanted: Vec<files::Wanted> = all.into_iter().map(kind).collect();
    let mut known = files::known(tx, account.id, &wanted, MARGIN).await?;
    let (mut ready, mut ask, mut waiting) = (Vec::with_capacity(heads.len()), vec![], vec![]);
    let mut blocked = false;
    for head in heads {
        let Some(wanted) = media(&head) else {
            ready.push((head, None));
            continue;
        };
        match known.get(&wanted).cloned().unwrap_or(Known::Lost { reason: None }) {
            Known::Ready { provider_id, mimetype, filename, size } => {
                let size = u64::try_from(size).unwrap_or_default();
                ready
                    .push((head, Some(UploadedFile { id: provider_id, mimetype, filename, size })));
            }
            Known::Absent { checksum } => {
                ask.push((checksum, wanted));
                // Asked once, also where several heads need it.
                known.insert(wanted, Known::Fetching);
                waiting.push(head.chat_key);
            }
            Known::Fetching => waiting.push(head.chat_key),
            Known::Refused { kind, message } => {
                blocked |= fail(tx, rt, &head, &kind, &message).await?;
            }
            Known::Lost { reason } => {
                let reason = reason.unwrap_or_else(|| "the file is not kept any more".to_owned());
                let kind = Kind::InvalidContent.as_str();
                blocked |= fail(tx, rt, &head, kind, &reason).await?;
            }
        }
    }
    if !ask.is_empty() {
        files::ask(tx, account.id, &ask).await?;
        rt.wakes.uploads.notify_one();
    }
    if !waiting.is_empty() {
        let chats: Vec<&str> = waiting.iter().map(String::as_str).collect();
        files::postpone(tx, account.id, &chats, LOOK_AGAIN).await?;
    }
    Ok((ready, blocked))
}

/// Ends a send whose file cannot be had; true when its lane has to be looked at again.
async fn fail(
    tx: &Tx<'_>,
    rt: &Runtime,
    head: &Head,
    kind: &str,
    message: &str,
) -> Result<bool, StoreError> {
    // False where Odoo holds the row: the next claim meets it again.
    if message_out::reject(tx, head.message_id, &Rejection::Failed { code: kind, message }).await? {
        outbox::delete(tx, &[head.id]).await?;
        info!(db.name = %rt.name, message.id = head.message_id, error.kind = kind, "message {} failed: its file cannot be sent: {kind}", head.message_id);
    }
    Ok(true)
}
